"""What commands print. Text from models is untrusted: never markup, and escaped where it could steer a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from selfreward.evaluation.comparison import in_short
from selfreward.evaluation.report import percent
from selfreward.records import Frozen
from selfreward.training.job import ADAPTER, CANDIDATES, MODEL

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table

    from selfreward.doctor import Check
    from selfreward.plan import Plan
    from selfreward.query import IterationRow
    from selfreward.stage_plans import StagePlan
    from selfreward.storage.catalogue import RunRow, RunStatus, StageStatus

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control, line-separating and direction-changing characters and lone surrogates, but no newline and no tab."""
_PREVIEW = 220


def visible(text: str) -> str:
    """Text with control, line-separating and direction-changing characters escaped; newlines and tabs stay."""
    return _STEERING.sub(_escaped, text.replace("\r\n", "\n"))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "surrogatepass").decode()


def console(*, stderr: bool = False) -> Console:
    """A console that takes nothing for markup."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def json_text(value: Frozen | Sequence[Frozen]) -> str:
    """One object or one array, in ASCII, so that nothing in it can act on a terminal."""
    plain = value.model_dump(mode="json") if isinstance(value, Frozen) else [v.model_dump(mode="json") for v in value]
    return json.dumps(plain, indent=1)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Iterable[str] = ()) -> Table:
    """A table; None is empty, and columns of numbers stand right and are never wrapped."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    right = set(numbers)
    for column in columns:
        made.add_column(
            column, justify="right" if column in right else "left", no_wrap=column in right, overflow="fold"
        )
    for row in rows:
        made.add_row(*(Text("" if cell is None else visible(str(cell))) for cell in row))
    return made


class Indented:
    """Untrusted text, wrapped within a left margin and without spaces at the ends of lines."""

    def __init__(self, text: str, indent: int, style: str = "", *, label: str = "") -> None:
        self._text, self._indent, self._style, self._label = visible(text), indent, style, label

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        from rich.text import Text

        room = max(options.max_width - self._indent, 8)
        margin = f"{self._label:<{self._indent}}"
        for line in Text(self._text, style=self._style, overflow="fold").wrap(console, room):
            line.rstrip()
            yield Text.assemble(margin, line) if line.plain else Text(margin.rstrip())
            margin = " " * self._indent


def preview(text: str, most: int = _PREVIEW) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(visible(text[: most * 2]).split())
    return line if len(line) <= most and len(text) <= most * 2 else f"{line[:most].rstrip()} …"


def iterations(rows: Sequence[IterationRow]) -> Table:
    """What each iteration came to; how good the judge was only where that was measured."""
    measured = any(row.judge_accuracy for row in rows)
    judge = ("judge right",) if measured else ()
    columns = ("iter", "model", "prompts", "responses", "pairs", "score", *judge, "rewards/margins", "seconds")
    return table(
        columns,
        [
            (
                row.iteration,
                row.model if row.finished else f"({row.model})",
                row.prompts,
                row.responses,
                row.pairs,
                None if row.mean_score is None else f"{row.mean_score:.2f}",
                *([row.judge_accuracy and percent(row.judge_accuracy)] if measured else []),
                None if row.reward_margins is None else "{:.3f} -> {:.3f}".format(*row.reward_margins),
                f"{row.seconds:.0f}",
            )
            for row in rows
        ],
        numbers=columns,
    )


def runs(rows: Sequence[RunRow]) -> Table:
    """All runs of a directory."""
    return table(
        ("run", "state", "iterations", "pairs", "model", "created"),
        [
            (
                row.name,
                row.state,
                None if row.iterations is None else f"{row.iterations_finished}/{row.iterations}",
                row.pairs,
                row.problem or row.model,
                row.created and row.created[:16].replace("T", " "),
            )
            for row in rows
        ],
        numbers=("iterations", "pairs"),
    )


def status(found: RunStatus) -> RenderableType:
    """Every stage that was begun, and whether anybody is at work."""
    from rich.console import Group
    from rich.text import Text

    columns = ("iter", "stage", "done", "rows", "seconds", "")
    stages = table(
        columns,
        [
            (
                s.iteration,
                s.stage,
                _share(s),
                s.rows or None,
                f"{s.seconds:.0f}",
                _how_it_is(s),
            )
            for s in found.stages
        ],
        numbers=("iter", "done", "rows", "seconds"),
    )
    return Group(stages, Text(visible(state(found))))


def state(found: RunStatus) -> str:
    """A run's state in a sentence or two."""
    doing = "a process is working on it" if found.running else "no process is working on it"
    whole = f"{found.name}: {found.iterations_finished} of {found.iterations} iterations finished; {doing}"
    if found.last_event is None:
        return whole
    place = "".join(f" {found.last_event[k]}" for k in ("iteration", "stage") if k in found.last_event)
    return f"{whole}\nlast event: {found.last_event['event']}{place}, {found.last_event['time']}"


def status_lines(found: RunStatus) -> list[str]:
    """The same as plain lines, one a stage, for a log."""
    lines = []
    for s in found.stages:
        parts = [_share(s), f"{s.rows} rows" if s.rows else "", f"{s.seconds:.0f} s"]
        parts.append(_how_it_is(s))
        lines.append(f"iter-{s.iteration:03d} {s.stage}: {', '.join(filter(None, parts))}")
    return lines


def checks(found: Sequence[Check]) -> Table:
    """What doctor found."""
    return table(("", "what", "found", "what to do"), [(c.state, c.name, c.found, c.hint) for c in found])


def plan(made: Plan) -> RenderableType:
    """What a run would do."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(visible(f"{made.name} in {made.path}, model {made.model}")), Text("")]
    for title, stages in (
        ("iteration 0 (SFT)", made.sft),
        (f"each self-reward iteration ({made.iterations} in all)", made.self_reward),
    ):
        if stages:
            parts += [Text(title, style="bold"), _plan_table(stages), Text("")]
    if made.finished:
        parts.append(Text(visible(f"finished already, not done again: {', '.join(made.finished)}")))
    disk = "known once the model is here" if made.most_bytes is None else f"at most {_size(made.most_bytes)}"
    parts.append(Text(f"disk for the whole run, beside the model: {disk}"))
    parts += [Text(visible(notice)) for notice in made.notices]
    parts.append(Text("read and written are tokens, estimated (4 characters each); max is what the recipe allows"))
    return Group(*parts)


def _plan_table(stages: Sequence[StagePlan]) -> Table:
    columns = ("stage", "rows", "read", "written", "max written", "steps", "max disk")
    return table(
        columns,
        [
            (
                s.stage,
                s.rows if s.rows == s.most_rows else f"{s.rows} of {s.most_rows}",
                _thousands(s.tokens_read),
                _thousands(s.tokens_written),
                _thousands(s.most_tokens_written),
                s.training_steps or None,
                _size(s.most_bytes) if s.most_bytes != 0 else None,
            )
            for s in stages
        ],
        numbers=columns[1:],
    )


def _how_it_is(stage: StageStatus) -> str:
    if not stage.finished:
        return ""
    if stage.comparison is not None:
        return f"finished; {in_short(stage.comparison)}"
    if stage.cost is not None:
        return f"finished; {stage.cost.tokens_per_second:.0f} tokens/s, {stage.cost.peak_memory_gib:.1f} GiB at most"
    return "finished" if stage.judge_accuracy is None else f"finished; judge right {percent(stage.judge_accuracy)}"


def _share(stage: StageStatus) -> str:
    if not stage.total:
        return "" if stage.total == 0 else f"{stage.done:g}"
    trained = stage.stage in (ADAPTER, CANDIDATES, MODEL)
    return f"{stage.done / stage.total:.0%}" if trained else f"{stage.done:g}/{stage.total:g}"


def _thousands(tokens: int) -> str | None:
    return f"{tokens:,}" if tokens else None


def _size(count: int | None) -> str:
    if count is None:
        return "unknown"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(count / 1e6, 0.1):.1f} MB"


def watch(looks: Iterable[RunStatus]) -> None:
    """Show a run as it goes on: in place on a terminal, else a line whenever a stage has got further."""
    screen = console()
    if screen.is_terminal:
        from rich.live import Live

        with Live(console=screen, auto_refresh=False) as live:
            for found in looks:
                live.update(status(found), refresh=True)
        return
    said: set[str] = set()
    for found in looks:
        for line in status_lines(found):
            if line not in said:
                said.add(line)
                print(visible(line), flush=True)
    print(visible(state(found)), flush=True)
