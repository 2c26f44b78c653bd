"""Cuts what a language model wrote after few-shot tasks down to one task: no header, second task or answer.

An answer has no fixed shape, a task's continuation nearly has one: after the first line a block stays only
where it reads as part of the task (a constraint, a further question, announced material). A prompt may lose
an example or a plan that way; it does not carry its own answer into training.
"""

# ruff: noqa: RUF001, RUF002 (punctuation of other scripts is meant)

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from selfreward.languages import LANGUAGES, LanguageCode

_TASK = r"(?:sub-?)?(?:task|instruction|prompt|question|problem|exercise|challenge|query|request|user|human)s?"
_NUMBERS = r"(?:no\.?|number|#)?\s*\d+(?:\s*(?:,|&|and|-)\s*\d+)*"
_ANSWER = (
    r"(?:answer|response|reply|output|result|solution|explanation|hint|tip|note|translation|example|sample|outline"
    r"|idea|suggestion|step|breakdown|draft|start|description|code|implementation|guide|list(?! of\b))s?"
)
_HERE_IS = r"\bhere(?:.s| is| are)\b(?! what\b| my\b)"
_HERE_IS_ANSWER = rf"{_HERE_IS}[^:.?\n]*?\b(?:{_ANSWER}|(?:argument|thing|topic|resource|book|way|question)s)\b"

# Leaked in front of the task: "Task 10:", "**Instruction:**", "[Question 3]", "As a User:", then "10.", "Q:",
# then bullets and quotation marks, then "Sure! Here is a new task:".
_TASK_HEADER = (
    rf"[\W_]*(?:(?:new|next|another|example|sample|your|the|as an?) )?{_TASK}\b"
    rf"(?: *{_NUMBERS}[ *_]*(?:[:)\]—]|\.(?!\d)| [-\u2013]|$)|[ *_\])]*(?::|$))[:*_)\]]*"
)
_OPENINGS = (
    re.compile(_TASK_HEADER, re.IGNORECASE | re.MULTILINE),
    re.compile(r"[(\[#*_]*(?:\d{1,3} ?[.):\]]|Q\d* ?[:.])[*_)\]]*(?=\s|\Z)"),
    re.compile(r"(?:[-*•+>#=—\u2013]+|__)(?=\s)"),
    re.compile(rf"(?:\w+[,!.] )?{_HERE_IS}[^\n:.?]{{0,40}}\b{_TASK}\b[^\n:.?]{{0,40}}:(?=\s)", re.IGNORECASE),
)
_QUOTED = re.compile(r"\A(?:\"([^\"]*)\"|“([^“”]*)”|'((?:[^']|(?<=\w)'(?=\w))*)'|`([^`]*)`|\[([^\[\]]*)\])\Z")
_BOLD = re.compile(r"(?<!\w)\*\*(?=\S)([^*\n]+)(?<=\S)\*\*(?!\w)")

# A text that opens like this is a reply, a refusal, an outline or a dialogue, and no task at all.
_REPLY = re.compile(
    r"I(?:.d| would) be (?:happy|glad)|(?:can|could) you (?:please )?(?:clarify|provide more (?:context|detail|info))"
    r"|I apologi[sz]e|I(?:.| a)m sorry"
    r"|I (?:cannot|can.t) (?:answer|assist|create|do that|fulfil|generate|help|provide|write)"
    r"|(?:I(?:.| a)m|as) an? (?:AI|language)\b|(?:sure|certainly|of course|absolutely)[,!.]|I\.\s"
    r"|(?:answer|response|output|solution|explanation|hint|note|title)s?:"
    rf"|{_HERE_IS_ANSWER}|(?-i:[A-Z]\w+: \(|([A-Z]\w+): [\s\S]*\n\1: )",
    re.IGNORECASE,
)

# What ends the task: chat tokens; a line that opens an answer, an example or another task; the same behind a
# sentence, or in brackets.
_CHAT_TOKEN = re.compile(r"<\|[^|<>\n]{1,40}\|>|</s>|\[/?INST\]")
_END_LINE = re.compile(
    rf"[\W_]*(?:(?:[\w']+ ){{0,3}}{_ANSWER}(?: \w+)?[ *_)\]]*:|{_ANSWER}[ *_)\]]*$"
    rf"|(?:A|assistant|title|bonus[\w ]*)[ *_]*:|(?:slide|step|part) \d+\b|{_HERE_IS_ANSWER})"
    rf"|[-*=_#]{{3,}}$|{_TASK_HEADER}",
    re.IGNORECASE,
)
_END_INLINE = re.compile(
    r"(?:(?<=[.?!])\s*|(?<=[\"”)\]`])\s+)[*_(\[]*"
    rf"(?:(?:(?:example|sample|expected|model|possible) )?{_ANSWER}(?: \d+)?|bonus|A)[ *_]*:"
    rf"|(?<=[.?!])\s+{_HERE_IS_ANSWER}.*"
    r"|\s*[(\[](?:(?:please )?note|hint|answer|solution|task|optional)\b"
    r"|\s*[(\[](?:assum(?:e|ing)|I|I.\w+|this (?:is|task|question))\b[^()\[\]]*[)\]]?$"
    r"|\s*\btask \d+ ?[:.)]|(?:\s+#\w+){4}",
    re.IGNORECASE,
)
_DANGLING = re.compile(r"(?:(?<=[.?!])\s|(?<=[。？！؟।])|\A|\n)(?:(?![.?!]\s|[。？！؟।])[^\n])*[:：]\Z")

# What a later line of the same task looks like: labelled material, a requirement, a constraint, a question
# that points back.
_LABEL = re.compile(
    r"(?:requirement|constraint|rule|guideline|deliverable|input|text|context|passage|article|sentence|data"
    r"|topic|url|word count|length|format|genre|tone|style|audience|technologies(?: to use)?|scenario"
    r"|option)s?:"
    r"|here(?:.s| is| are) (?:what I|my)\b.*:$",
    re.IGNORECASE,
)
_POINTS_BACK = r"(?=.*\b(?:it|its|them|their|these|those|this|each|both|either|above|such|your|at least|no more)\b)"
_REQUIRES = re.compile(
    r"(?:please |also,? |and )*(?:make sure|be sure|ensure|include|assume|do not|don.t|avoid|keep in mind"
    r"|respond as|answer (?:in|with|as)|you (?:may|can) assume"
    r"|(?:make|keep|explain|describe|discuss|give|provide|recommend|support|write|justify|limit|format"
    rf"|return)\b{_POINTS_BACK})",
    re.IGNORECASE,
)
_CONSTRAINS = re.compile(
    r"(?:use|consider|you (?:should|must|will|need)"
    r"|(?:the|this|it|they|each|all|your)\b[^.?!]{0,80}?\b(?:should|must|needs? to|has to|have to)"
    r"|the [^.?!]{0,40}\b(?:name|title|goal|audience)\b[^.?!]{0,40}\bis)\b",
    re.IGNORECASE,
)
_QUESTION = r"(?:what|how|why|when|which|who|where|is|are|do|does|did|has|have|should)\b"
_IS_QUESTION = re.compile(_QUESTION, re.IGNORECASE)
_SCENE = re.compile(r"(?:you (?:are|have|.ve)|imagine|suppose|assume|I(?:.m| am| have|.ve))\b", re.IGNORECASE)
_ASKS_MORE = re.compile(rf"(?:{_QUESTION}|(?:can|could|would|will)\b){_POINTS_BACK}.*\?$", re.IGNORECASE)
_ADDS = re.compile(r"(?:also|additionally|lastly|finally|and|I|I.\w+|my)\b.*\?$", re.IGNORECASE)
_REFERS = re.compile(r"\b(?:its?|them|they|their|both|each|either|these|those)\b", re.IGNORECASE)
# Words that two requests may share and still have nothing to do with each other.
_NO_SUBJECT = re.compile(
    r"what|which|when|where|that|this|there|with|from|into|your|have|some|more|most|many|also|about|between|please"
    r"|(?:c|w|sh)ould|give|provide|explain|describe|write|create|make|list|additionally|finally|lastly|examples?"
    r"|different|best|using|used",
    re.IGNORECASE,
)
_ANNOUNCES = re.compile(
    r"[:：]\Z|\b(?:the following|below|(?:this|these|the given) (?:\w+ )?(?:text|sentence|paragraph|passage"
    r"|article|poem|code|function|snippet|query|table|equation)s?)\b[^:\"“`?.]*[.?]?\Z",
    re.IGNORECASE,
)

_BLOCK = re.compile(
    r"(?P<code>^ *```[^\n]*\n[\s\S]*?(?:^ *```$|\Z))"
    r"|(?P<list>(?:^ *(?:[-*•+]|\d{1,3}[.)]|[A-Za-z][.)]) [^\n]*\n?(?:^ +\S[^\n]*\n?)*)+)"
    r"|(?P<line>^[^\n]*\S[^\n]*$)",
    re.MULTILINE,
)
_ITEM_NUMBER = re.compile(r"^ *(\d+)[.)]", re.MULTILINE)


@dataclass(frozen=True)
class _Block:
    kind: str
    """"code" (fenced), "list" (a run of items) or "line"."""
    text: str
    gap: str
    """The line breaks in front of it: one, or two where a paragraph starts."""


def clean(raw: str, language: LanguageCode = "en") -> str:
    """The first task in a raw model output, or "" where there is none.

    Leaked headers, bullets, bold markers and surrounding quotes go; so does everything from a second task, an
    answer, a hint, a note, an example or a remark about the task on. Material that the task announces stays
    ("Translate the following:", "What is wrong with this code?"). Headers and answers are known by English labels
    and by those of the language. Cleaning twice changes nothing.
    """
    text, before = raw, None
    while text != before:
        text, before = _clean_once(text, language), text
    return text


def _clean_once(text: str, language: LanguageCode) -> str:
    text = _strip_opening(_cut_at_labels(_normalise(text), language))
    if _REPLY.match(text):
        return ""
    text = "".join(block.gap + block.text for block in _task_blocks(text)).strip()
    return _DANGLING.sub("", text).strip()


def _normalise(text: str) -> str:
    """One kind of line break and of space, at most one empty line, no bold markers or escapes; indentation stays."""
    text = _CHAT_TOKEN.split(text, maxsplit=1)[0]
    text = text.replace("\u00a0", " ").replace("\u200b", "").replace("\ufeff", "").expandtabs(4)
    text = "\n".join(line.rstrip() for line in text.splitlines())
    text = re.sub(r"(?<=\w)\\_(?=\w)", "_", text)  # file\_name, as in Markdown
    return _BOLD.sub(r"\1", re.sub(r"\n{3,}", "\n\n", text)).strip()


def _cut_at_labels(text: str, language: LanguageCode) -> str:
    """Without a leading label of a task, and without all from the next one or from an answer's on."""
    if language not in LANGUAGES:
        return text
    header, end = _labels(language)
    while found := header.match(text):
        text = text[found.end() :]
    found = end.search(text)
    return text[: found.start()].rstrip() if found else text


@cache
def _labels(language: LanguageCode) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What leads a task, and what ends it: "Aufgabe 10:", "**答案：**", at the start of a line or a sentence."""
    known, close = LANGUAGES[language], r"[ *_)\]】]*"
    number = rf"(?: *(?:№|#|nr\.)? *\d+|[一二三四五六七八九十]+)(?:{close}(?:[:：.)—–-]|$)|[】\]])"
    task = rf"[\W_]*(?:{known.task})(?:{number}|{close}(?:[:：]|$))[\s*_]*"
    answer = rf"[\W_]*(?:{known.answer})(?: *\d+)?{close}(?:[:：]|$)"
    flags = re.IGNORECASE | re.MULTILINE
    return re.compile(task, flags), re.compile(rf"(?:^|(?<=[.?!。？！؟।]))(?:{task}|{answer})", flags)


def _strip_opening(text: str) -> str:
    before = None
    while text != before:
        before = text
        for opening in _OPENINGS:
            match = opening.match(text)
            text = text[match.end() :].lstrip() if match else text
        text = _QUOTED.sub(lambda match: match[match.lastindex or 0], text).strip()
    return text


def _blocks(text: str) -> Iterator[_Block]:
    """Fenced code, runs of list items and single lines, in order."""
    end = 0
    for match in _BLOCK.finditer(text):
        breaks = text[max(end - 1, 0) : match.start()].count("\n")
        gap = "\n" * min(breaks, 2) if end else ""
        end = match.end()
        kind, block = match.lastgroup or "line", match[0].rstrip()
        yield _Block(kind, block if kind == "code" else re.sub(r"(?<=\S) {2,}", " ", block), gap)


def _task_blocks(text: str) -> list[_Block]:
    """The blocks up to the first that is not the task's, the last one cut where an answer is glued to it."""
    kept: list[_Block] = []
    announced = False
    for block in _blocks(text):
        if kept:
            goes_on = announced and block.gap == "\n" and not _is_quote(kept[-1])
            announced = goes_on or _ANNOUNCES.search(kept[-1].text) is not None
            if not _belongs(block, kept, announced):
                break
        end = None if block.kind == "code" else _END_INLINE.search(block.text)
        kept.append(replace(block, text=block.text[: end.start()]) if end else block)
        if end:
            break
    return kept


def _belongs(block: _Block, kept: list[_Block], announced: bool) -> bool:
    """Whether a block goes on with its task; "announced": the text before it says that material follows."""
    if block.kind != "code" and _END_LINE.match(block.text):
        return False
    if block.kind == "list":
        return _continues_list(block, kept[-1], announced)
    if announced or block.kind == "code":
        return announced
    wrapped = block.gap == "\n" and block.text[:1].islower() and not re.search(r"[.?!:\"”')\]]$", kept[-1].text)
    return wrapped or _reads_as_task(block.text, kept)


def _continues_list(block: _Block, last: _Block, announced: bool) -> bool:
    """A list that starts at 10 is the tenth task; one that nobody announced is an answer or a plan of one."""
    number = _ITEM_NUMBER.match(block.text)
    if number and number[1] != "1":
        return last.kind == "list" and _ITEM_NUMBER.findall(last.text)[-1:] == [str(int(number[1]) - 1)]
    is_choice = last.text.endswith("?") and block.text.lstrip()[:2] in ("A)", "A.", "a)", "a.")
    return announced or is_choice or last.kind == "list"


def _reads_as_task(line: str, kept: list[_Block]) -> bool:
    """Whether a line adds to its task. Behind a question a statement is rather the answer."""
    if _LABEL.match(line) or _REQUIRES.match(line) or _ASKS_MORE.match(line):
        return True
    before = " ".join(block.text for block in kept)
    if _ADDS.match(line):
        return bool(_REFERS.search(line) or _subject(line) & _subject(before))
    if _SCENE.match(before) and "?" not in before and _IS_QUESTION.match(line):  # the request itself is still to come
        return bool(_subject(line) & _subject(before))
    return not _IS_QUESTION.match(before) and bool(_CONSTRAINS.match(line))


def _subject(text: str) -> set[str]:
    """What a text is about: the beginnings of its longer words, and short names such as IP."""
    found = re.findall(r"[^\W\d_]{4,}|[A-Z]{2,3}\b", text)
    return {word.lower()[:5] for word in found if not _NO_SUBJECT.fullmatch(word)}


def _is_quote(block: _Block) -> bool:
    return re.fullmatch(r"\s*(?:\"[^\"]*\"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|「[^」]*」|『[^』]*』)", block.text) is not None
