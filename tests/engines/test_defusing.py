import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.engines.chat import Chat
from selfreward.engines.defusing import defuse, spells_control

CONTROL = [
    *("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begin_of_text|>", "<|start_header_id|>", "<|eot_id|>"),
    *("<|reserved special token 3|>", "<|channel|>", "<|turn>", "<turn|>", "<s>", "</s>", "<bos>", "<pad>", "<unk>"),
    *("<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cUser\uff5c>", "<start_of_turn>", "<end_of_turn>"),
    *("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[SYSTEM_PROMPT]", "[TOOL_CALLS]", "[gMASK]", "<sop>", "<unused7>"),
    *("<extra_id_0>", "<0x0A>", "]~b]", "]~!b[", "[e~[", "<||>", "<fim_prefix>"),
]
HARMLESS = [
    *(
        "a < b and b > c",
        "x |> f <| y",
        "if a<|b|",
        "<div class='x'>",
        "<p>",
        "List[int]",
        "[TODO]",
        "[1]",
        "a[i]",
        "<>",
    ),
    *("<https://example.org>", "1 <| 2\n|> 3", "|im_end|"),
]


@pytest.mark.parametrize("text", CONTROL)
def test_control_tokens_are_broken_up_where_one_can_see_it(text: str) -> None:
    around = f"before {text} after"
    broken = defuse(around)
    assert text not in broken
    assert broken.replace(" ", "") == around.replace(" ", "")
    assert not spells_control(broken)


@pytest.mark.parametrize("text", HARMLESS)
def test_other_words_stay_as_they_are(text: str) -> None:
    assert defuse(text) == text


def test_every_control_token_of_a_real_model_is_known(chat: Chat) -> None:
    unknown = [
        token.content
        for token in chat.tokenizer.added_tokens_decoder.values()
        if token.special and not spells_control(token.content)
    ]
    assert unknown == []


@given(st.lists(st.sampled_from([*CONTROL, *"<|>[]/ s~be!\uff5c", "im_end", "INST"])).map("".join))
def test_nothing_is_left_however_they_are_put_together(text: str) -> None:
    broken = defuse(text)
    assert not spells_control(broken)
    assert broken.replace(" ", "") == text.replace(" ", "")
    assert defuse(broken) == broken
