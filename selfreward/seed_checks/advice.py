"""What a run would take all the same, and a person may want to mend first."""

from collections.abc import Iterator, Sequence

from selfreward.seed_checks.report import FileCheck, Lengths, Likeness, Scores

_LINES_NAMED = 5
_MOST_FREQUENT = 0.5
"""A judge that always gives a score of this share is right half the time."""
_STRONG = 0.5
"""A correlation of score and length from which on length says much of the score."""


def advice(file: FileCheck, few_shot_seeds: int) -> Iterator[str]:
    """Sentences: what was found, what it leads to, and where."""
    if file.lengths:
        yield from _on_lengths(file.lengths)
    if file.duplicates:
        yield from _on_duplicates(file.duplicates)
    if file.scores:
        yield from _on_scores(file.scores, file.rows)
    elif 0 < file.instructions < few_shot_seeds:
        yield (
            f"only {file.instructions} different instructions, where prompts.few_shot_seeds={few_shot_seeds} are shown "
            "to the model at a time: new prompts will be much like them"
        )
    for overlap in file.overlaps:
        if overlap.rows:
            lines = [row.line for row in overlap.rows]
            parts = f"{overlap.same} the same, {overlap.near} nearly"
            yield f"asking for what {overlap.file} asks for, so that figures on it flatter: {_rows(lines)}; {parts}"


def _on_lengths(lengths: Lengths) -> Iterator[str]:
    for reason, what in (
        ("too_long", f"longer than {lengths.limit} tokens ({lengths.limit_is}), so left out of training"),
        ("special_tokens", "spelling a special token of the model, so left out of training"),
    ):
        if lines := [row.line for row in lengths.left_out if row.reason == reason]:
            yield f"{what}: {_rows(lines)}"


def _on_duplicates(found: Likeness) -> Iterator[str]:
    for how, what in (("same", "repeating an earlier row"), ("near", "asking for nearly what an earlier row asks for")):
        if lines := [row.line for row in found.rows if row.how == how]:
            yield f"{what}: {_rows(lines)}"


def _on_scores(scores: Scores, rows: int) -> Iterator[str]:
    never = [str(score) for score, count in scores.counts.items() if not count]
    if never:
        yield f"no row has the score {' or '.join(never)}: the judge will hardly ever give it"
    score, count = max(scores.counts.items(), key=lambda item: item[1])
    if count > _MOST_FREQUENT * rows:
        yield f"{count} of {rows} rows have the score {score}, to which the judge will lean: thin them out"
    length = scores.length_correlation
    if length is not None and abs(length) > _STRONG:
        yield f"score and length go together (correlation {length:+.2f}): the judge may learn to measure length"
    if scores.contradictions:
        yield f"{scores.contradictions} rows score a response to an instruction unlike an earlier row with both"


def _rows(lines: Sequence[int]) -> str:
    """How many, and the first of them."""
    named = ", ".join(map(str, lines[:_LINES_NAMED]))
    more = " …" if len(lines) > _LINES_NAMED else ""
    return f"{len(lines)} rows (lines {named}{more})" if len(lines) > 1 else f"1 row (line {named})"
