"""``selfreward seeds import``: other people's data as seeds."""

import json
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from selfreward.commands.options import refuse_output, say
from selfreward.errors import SeedError

if TYPE_CHECKING:
    from selfreward.seeding.formats.base import LeftOut, Row, Target
    from selfreward.seeding.importing import Conversion, Tally
    from selfreward.seeding.recognising import Recognised
    from selfreward.seeding.rescale import Rescale
    from selfreward.seeding.sources.base import Source

_JSON = json.JSONEncoder(ensure_ascii=False)
_SHOWN = 300
_ROWS_BETWEEN_LOOKS = 10_000
_SECONDS_BETWEEN_LINES = 15.0


def import_seeds(  # noqa: PLR0913, PLR0917 (options)
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A JSONL, JSON, CSV or Parquet file (gzip too), a directory of a saved data set, or a Hub id.",
        ),
    ],
    as_: Annotated[str, typer.Option("--as", metavar="ift|eft|ranked", help="What to make of it.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.jsonl", help="Where to write the rows.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="The source's format; recognised otherwise.")
    ] = None,
    preview: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Print the first N rows that would come out; write nothing.")
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Only rows in this language, such as en; may be repeated.")
    ] = None,
    heldout: Annotated[
        float,
        typer.Option(min=0, max=0.9, metavar="SHARE", help="Leave out the prompts that build-eft holds out with this."),
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the draw of what is held out; the same as for build-eft.")] = 0,
    scale_from: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="MIN MAX", help="For eft: the source's scale, mapped onto the rubric's and rounded."),
    ] = None,
    rubric: Annotated[
        str | None, typer.Option(help="For eft: the rubric whose scale the scores are for; additive_5pt otherwise.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of a data set: which split; train otherwise.")] = None,
    config: Annotated[str | None, typer.Option(help="Of a data set on the Hub: which configuration.")] = None,
    revision: Annotated[str | None, typer.Option(help="Of a data set on the Hub: branch, tag or commit.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
) -> None:
    """Make IFT, EFT or ranked rows of data in any of the usual formats."""
    from selfreward.seeding.importing import Conversion, Options, report_path
    from selfreward.seeding.recognising import recognise
    from selfreward.seeding.sources import Place, open_source

    target = _target(as_)
    if target != "eft" and (scale_from or rubric):
        raise typer.BadParameter("--scale-from and --rubric are for --as eft")
    if heldout and target == "ranked":
        raise typer.BadParameter("--heldout is for --as ift and eft; of ranked rows build-eft holds out a part itself")
    if not preview:
        if output is None:
            raise typer.BadParameter("say where to write with -o FILE.jsonl, or only look with --preview 5")
        refuse_output(output, Path(source), [report_path(output)], [output], force=force)
    found = open_source(source, Place(split=split, config=config, revision=revision))
    form = recognise(found, target, format_, needs_language=bool(language))
    _say_what_it_is(found, form, language=bool(language))
    scale = _scale(form, scale_from, rubric) if target == "eft" else None

    options = Options(target, tuple(language or ()), scale, heldout, seed)
    conversion = partial(Conversion, found, form.form, options)
    try:
        if preview:
            _preview(conversion(lambda _: None), preview, scale)
        elif output:
            _say_what_came(_write(conversion, output), output, scale)
    except KeyboardInterrupt:
        say("stopped; nothing was written")
        raise typer.Exit(130) from None


def _target(name: str) -> "Target":
    from selfreward.seeding.formats.base import TARGETS

    for known in TARGETS:
        if name == known:
            return known
    raise typer.BadParameter(f"--as {name}: expected one of {', '.join(TARGETS)}")


def _scale(form: "Recognised", scale_from: tuple[float, float] | None, rubric: str | None) -> "Rescale":
    from selfreward.judges import JudgeConfig
    from selfreward.seeding.rescale import rescale

    config = JudgeConfig(rubric=rubric) if rubric else JudgeConfig()
    return rescale(form.form, config.load_rubric().front.scale, scale_from)


def _write(conversion: "Callable[[Callable[[LeftOut], None]], Conversion]", output: Path) -> "Tally":
    """Both files under temporary names; the report is put in place first, and stays where no row could be taken."""
    from selfreward.seeding.importing import report_path
    from selfreward.storage.durable import write_file

    report = report_path(output)

    def write(rows_path: Path) -> "Tally":
        tallies = []
        with rows_path.open("wb") as rows_file:
            write_file(report, lambda path: tallies.append(_fill(conversion, rows_file, path)))
        (tally,) = tallies
        if not tally.made:
            _say_left_out(tally, report)
            raise SeedError(f"{output}: not written, for no row could be taken; {report} has line and reason of each")
        return tally

    written = []
    write_file(output, lambda path: written.append(write(path)))
    (tally,) = written
    return tally


def _fill(conversion: "Callable[[Callable[[LeftOut], None]], Conversion]", rows_file: BinaryIO, path: Path) -> "Tally":
    with path.open("wb") as report_file:
        rows = conversion(lambda item: _write_row(report_file, item._asdict()))
        for row in _with_news(rows):
            _write_row(rows_file, row)
    return rows.tally


def _with_news(rows: "Conversion") -> "Iterable[Row]":
    """The rows, with a line now and then on how far it is."""
    last = time.monotonic()
    for i, row in enumerate(rows, 1):
        yield row
        if i % _ROWS_BETWEEN_LOOKS == 0 and time.monotonic() - last > _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            say(f"{rows.tally.rows:,} rows read, {rows.tally.made:,} taken …")


def _write_row(file: BinaryIO, row: "Row") -> None:
    file.write(_JSON.encode(row).encode(errors="backslashreplace") + b"\n")


def _preview(rows: "Conversion", most: int, scale: "Rescale | None") -> None:
    from selfreward.terminal.render import visible

    for row in islice(rows, most):
        print(visible(_JSON.encode(_shortened(row))))
    say(f"{rows.tally.rows:,} rows read for this; nothing was written")
    _say_scores(rows.tally, scale)
    _say_left_out(rows.tally)
    if not rows.tally.made:
        raise SeedError("no row could be taken")


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shortened(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shortened(inner) for inner in value]
    if isinstance(value, str) and len(value) > _SHOWN:
        return f"{value[:_SHOWN]}… ({len(value):,} characters)"
    return value


def _say_what_it_is(source: "Source", form: "Recognised", *, language: bool) -> None:
    from selfreward.seeding.recognising import COLUMNS_SHOWN

    say(f"{source.name}: {source.kind}; format {form.form.name} ({form.form.about})")
    unused = [name for name in form.unused if not (language and name in ("language", "lang"))]
    if unused:
        more = f" and {len(unused) - COLUMNS_SHOWN:,} more" if len(unused) > COLUMNS_SHOWN else ""
        say(f"columns not used: {', '.join(unused[:COLUMNS_SHOWN])}{more}")


def _say_what_came(tally: "Tally", output: Path, scale: "Rescale | None") -> None:
    from selfreward.seeding.importing import report_path

    say(f"{tally.rows:,} rows read, {tally.made:,} rows written to {output}")
    _say_scores(tally, scale)
    _say_left_out(tally, report_path(output))


def _say_scores(tally: "Tally", scale: "Rescale | None") -> None:
    from selfreward.seeding.rescale import in_words

    if scale and tally.scores:
        say(in_words(tally.found_scores, scale))
        say("scores on the rubric's scale: " + ", ".join(f"{s}: {n:,}" for s, n in sorted(tally.scores.items())))


def _say_left_out(tally: "Tally", report: Path | None = None) -> None:
    if not tally.left_out:
        return
    where = f"; {report} has line and reason of each" if report else ""
    say(f"left out: {sum(tally.left_out.values()):,}{where}")
    for reason, count in tally.left_out.most_common():
        first = tally.first[reason]
        say(f"  {count:>9,}  {reason}  (line {first.line:,}: {first.detail})")
