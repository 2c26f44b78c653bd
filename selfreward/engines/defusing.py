"""For endpoints that are asked in words: no word of a prompt or a response may open or close a turn there.

Such an endpoint puts its chat template around the words and tokenises both together, so a string that spells a control
token becomes one. Which strings those are only the endpoint knows; here are the ones that published models use. Where
token ids can be handed over nothing has to be changed: see ``engines/chat.py``.
"""

import re

_NAMES = (
    *("s", "bos", "eos", "pad", "unk", "mask", "cls", "sep", "sop", "eop", "SYS", "role", "image", "audio", "video"),
    *("start_of_turn", "end_of_turn", "start_of_image", "end_of_image", "tool_call", "tool_response", "tool_calls"),
    *("think", "img", "box", "ref", "quad", "begin_of_text", "end_of_text", "endoftext", "reserved"),
)
_BRACKETED = (
    *("INST", "SYSTEM_PROMPT", "AVAILABLE_TOOLS", "TOOL_CALLS", "TOOL_RESULTS", "TOOL_CONTENT", "ARGS", "CALL_ID"),
    *("THINK", "IMG", "IMG_BREAK", "IMG_END", "AUDIO", "BEGIN_AUDIO", "PREFIX", "MIDDLE", "SUFFIX", "gMASK", "sMASK"),
    *("MODEL_SETTINGS", "CLS", "SEP", "MASK", "PAD", "UNK", "BOS", "EOS"),
)
_CONTROL = re.compile(
    r"<[|\uff5c][^<>\n]{0,64}[|\uff5c]>"  # <|im_end|>, <|reserved special token 3|>, and DeepSeek's with wide bars
    r"|<[|\uff5c][^\s<>]{1,64}>|<[^\s<>]{1,64}[|\uff5c]>"  # <|turn>, <turn|>
    rf"|<<?/?(?:{'|'.join(_NAMES)})>|\[/?(?:{'|'.join(_BRACKETED)})\]"
    r"|<(?:repo_?name|file_sep|filename|gh_stars|empty_output|(?:fim|issue|jupyter|commit)_[a-z_]+)>"  # of code models
    r"|<(?:unused|extra_id_|reserved_|special_|SPECIAL_|image_|mask_)\d+>|<0x[0-9A-Fa-f]{2}>"
    r"|\]~!?b[\[\]]|\[e~\["  # ]~b] and [e~[ of MiniMax
)


def spells_control(text: str) -> bool:
    """Whether something in the text looks like a control token of some model."""
    return _CONTROL.search(text) is not None


def defuse(text: str) -> str:
    """The text with a space after the first character of whatever looks like a control token: ``< |im_end|>``."""
    while spells_control(text):
        text = _CONTROL.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
    return text
