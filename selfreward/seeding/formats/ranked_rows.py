"""Plain ranked responses, one a row: prompt, response, and a quality or rank; also what ``--as ranked`` writes.

A prompt's rows may stand anywhere, so the file is read twice: once for what is best (numbers only are kept, for each
prompt), once to write.
"""

from collections.abc import Iterator
from typing import NamedTuple

from selfreward.seeding.formats.base import Format, Item, LeftOut, Made, Reject, Reread, Row
from selfreward.seeding.formats.responses import prompt_id
from selfreward.seeding.formats.turns import PROMPT_COLUMNS, Chat, Turn, ift_row, prompt_of, ranked_row
from selfreward.seeding.formats.values import column, optional_number, shown, text
from selfreward.seeding.groups import Group, Groups
from selfreward.seeding.seen import short_hash

PROMPTS = ("prompt", "prompt_text", "instruction", "question", "query", "messages")
RESPONSES = ("response", "response_text", "completion", "answer")
QUALITIES = ("quality", "quality_score", "score", "rating", "reward")
_RANK = "rank"
COLUMNS = frozenset({*PROMPTS, *RESPONSES, *QUALITIES, *PROMPT_COLUMNS, _RANK, "prompt_id"})


class Answer(NamedTuple):
    prompt_id: str
    turns: Chat
    response: str
    rank: int | None
    quality: float | None

    @property
    def goodness(self) -> tuple[bool, float]:
        """Higher is better; a rank counts before a quality, which only the ranked ones are sure to have."""
        return (True, -self.rank) if self.rank is not None else (False, self.quality or 0.0)


def read_texts(row: Row) -> tuple[Chat, str]:
    """Prompt and response of a row."""
    prompt, response = column(row, PROMPTS) or PROMPTS[0], column(row, RESPONSES) or RESPONSES[0]
    return prompt_of(row, prompt), text(row.get(response), f'"{response}"')


def fits(row: Row) -> bool:
    """Whether there are columns for prompt, response, and quality or rank."""
    response = column(row, RESPONSES)
    return (
        column(row, PROMPTS) is not None
        and response is not None
        and (row[response] is None or isinstance(row[response], str))
        and column(row, (*QUALITIES, _RANK)) is not None
    )


def _answer(row: Row) -> Answer:
    turns, response = read_texts(row)
    rank, quality = _rank(row), _quality(row)
    if rank is None and quality is None:
        name = column(row, (*QUALITIES, _RANK)) or QUALITIES[0]
        raise Reject("no_rank", f'"{name}" is null or missing; the response cannot be ranked')
    return Answer(prompt_id(row, turns), turns, response, rank, quality)


def _quality(row: Row) -> float | None:
    name = column(row, QUALITIES)
    return None if name is None else optional_number(row[name], f'"{name}"', "no_rank")


def _rank(row: Row) -> int | None:
    rank = optional_number(row.get(_RANK), '"rank"', "no_rank")
    if rank is not None and (rank < 0 or rank != int(rank)):
        raise Reject("no_rank", f'"rank" is {shown(row[_RANK])}; expected a whole number, lower for better')
    return None if rank is None else int(rank)


def _groups(reread: Reread) -> tuple[Groups, int]:
    """Each prompt's group, and the lowest rank of all."""
    groups = Groups()
    lowest: int | None = None
    for line, row in reread(only_looking=True):
        try:
            answer = _answer(row)
        except Reject:
            continue  # named when the row comes by again
        groups.add(short_hash(answer.prompt_id), _words(answer), answer.goodness, line)
        if answer.rank is not None:
            lowest = answer.rank if lowest is None else min(lowest, answer.rank)
    groups.close()
    return groups, lowest or 0


def _words(answer: Answer) -> int:
    return short_hash("\0".join(part for turn in answer.turns for part in turn))


def _answers(reread: Reread, groups: Groups) -> Iterator[tuple[int, Answer, Group] | LeftOut]:
    for line, row in reread():
        try:
            answer = _answer(row)
            group = groups.get(short_hash(answer.prompt_id))
            if group is None or group.words != _words(answer):
                raise Reject("other_prompt", f"prompt_id {shown(answer.prompt_id)} has another prompt further up")
        except Reject as error:
            yield LeftOut(line, error.reason, str(error))
            continue
        yield line, answer, group


def best(reread: Reread) -> Iterator[Item]:
    """IFT: each prompt's best response; the first of equals."""
    groups, _ = _groups(reread)
    for found in _answers(reread, groups):
        if isinstance(found, LeftOut):
            yield found
            continue
        line, answer, group = found
        if line == group.best:
            yield Made(line, ift_row((*answer.turns, Turn("assistant", answer.response)), "the row"))
        else:
            yield LeftOut(line, "not_the_best", f"line {group.best} has the prompt's best response")


def ranked(reread: Reread) -> Iterator[Item]:
    """Ranked rows of all prompts that have two or more; ranks that begin with 1 are counted from 0."""
    groups, lowest = _groups(reread)
    for found in _answers(reread, groups):
        if isinstance(found, LeftOut):
            yield found
            continue
        line, answer, group = found
        if group.rows < 2:
            yield LeftOut(line, "one_response", "the prompt's only response with a rank or quality; nothing to compare")
            continue
        rank = None if answer.rank is None else answer.rank - min(lowest, 1)
        yield Made(line, ranked_row(answer.prompt_id, answer.turns, answer.response, rank, answer.quality))


RANKED = Format(
    name="ranked",
    about="plain ranked responses: prompt, response, and quality or rank (0 or 1 the best); prompt_id if any",
    columns=COLUMNS,
    fits=fits,
    converters={"ift": best, "ranked": ranked},
)
