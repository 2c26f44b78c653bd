"""The command line: commands only. Data goes to stdout, talk to stderr; heavy imports live inside the commands."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selfreward.commands import evaluate, models, rubrics, seeds
from selfreward.commands.compare import compare
from selfreward.commands.diagnose import diagnose
from selfreward.commands.export import export
from selfreward.commands.html_report import html_report
from selfreward.commands.options import RUNS, AsJson, Overrides, RunName, RunsDir, find_run, say
from selfreward.commands.override import override
from selfreward.commands.pairs import pairs
from selfreward.commands.show import show
from selfreward.commands.view import view
from selfreward.errors import SelfRewardError

if TYPE_CHECKING:
    from selfreward.config import RunConfig
    from selfreward.storage.run import RunStore

_SECONDS_BETWEEN_LOOKS = 1.0

app = typer.Typer(
    help="Self-rewarding alignment: a model writes prompts, answers them, judges its answers and trains on them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (pairs, show, compare, export, override, diagnose, view):
    app.command()(command)
app.add_typer(seeds.app, name="seeds")
app.add_typer(rubrics.app, name="rubrics")
app.add_typer(evaluate.app, name="eval")
app.command()(models.merge)
app.command("train-reward")(models.train_reward)
app.command("report")(html_report)


@app.command()
def run(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="A recipe's file, the name of one that comes along, or a run to go on with."
        ),
    ],
    iterations: Annotated[
        int | None, typer.Option("-n", "--iterations", min=0, help="Self-reward iterations in all; 0 does SFT only.")
    ] = None,
    set_: Overrides = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; the recipe's own otherwise.")] = None,
    runs_dir: Annotated[str | None, typer.Option(envvar="SELFREWARD_RUNS", help="Where runs are.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what it would do, and do nothing.")] = False,
) -> None:
    """Train a model on its own judgments, or go on where it stopped."""
    from selfreward.storage.catalogue import find_config

    config = find_config(recipe, set_ or (), name=name, iterations=iterations, runs_dir=runs_dir)
    if dry_run:
        from selfreward import plan
        from selfreward.terminal import render

        render.console().print(render.plan(plan.make_plan(config)))
        return
    from selfreward import loop

    say(f"{config.run_dir}: {config.iterations} self-reward iterations with {config.model.name}")
    try:
        store = loop.run(config)
    except KeyboardInterrupt:
        say("stopped; what is finished is kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    _say_what_came_of_it(config, store)


def _say_what_came_of_it(config: "RunConfig", store: "RunStore") -> None:
    from selfreward.query import iteration_table
    from selfreward.terminal import render, report

    render.console(stderr=True).print(render.iterations(iteration_table(store)))
    for line in report.where_and_what_next(config, store, Path(os.environ.get("SELFREWARD_RUNS", RUNS))):
        say(line)


@app.command()
def status(
    run: RunName,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it ends, or until Ctrl-C.")] = False,
    as_json: AsJson = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """How far a run is, stage by stage."""
    from selfreward.storage.catalogue import follow, run_status
    from selfreward.storage.run import RunStore
    from selfreward.terminal import render

    if watch and as_json:
        raise typer.BadParameter("--watch and --json do not go together")
    path = find_run(run, runs_dir)
    if as_json:
        print(render.json_text(run_status(RunStore(path))))
    elif watch:
        try:
            render.watch(follow(path, lambda: time.sleep(_SECONDS_BETWEEN_LOOKS)))
        except KeyboardInterrupt:
            say("no longer watching; the run goes on")
    else:
        render.console().print(render.status(run_status(RunStore(path))))


@app.command()
def ls(as_json: AsJson = False, runs_dir: RunsDir = RUNS) -> None:
    """All runs."""
    from selfreward.storage.catalogue import run_list
    from selfreward.terminal import render

    rows = run_list(runs_dir)
    if as_json:
        print(render.json_text(rows))
    elif rows:
        render.console().print(render.runs(rows))
    else:
        say(f"no runs in {runs_dir}; `selfreward run recipes/demo.yaml` makes one")


@app.command()
def verify(run: RunName, as_json: AsJson = False, runs_dir: RunsDir = RUNS) -> None:
    """Recompute every hash of a run; exits with 1 on damage."""
    from selfreward.terminal import render
    from selfreward.terminal.report import verified

    result = verified(find_run(run, runs_dir))
    if as_json:
        print(render.json_text(result))
    for problem in () if as_json else result.problems:
        print(render.visible(problem))
    if result.problems:
        say(f"{result.path}: {len(result.problems)} problems; restore what is damaged, or start a new run")
        raise typer.Exit(1)
    say(f"{result.path}: all {result.files} files are what was written")


@app.command()
def fork(
    run: RunName,
    name: Annotated[str, typer.Option(help="Name of the new run.")],
    at: Annotated[int | None, typer.Option(min=0, help="The last iteration that both runs share.")] = None,
    from_pairs: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="T", help="Instead of --at: share all up to the judgments of iteration T, and pair anew."
        ),
    ] = None,
    set_: Overrides = None,
    runs_dir: RunsDir = RUNS,
) -> None:
    """A new run that shares finished iterations and goes its own way."""
    from selfreward.setting_names import parse_overrides
    from selfreward.storage import fork as forking
    from selfreward.storage.run import RunStore

    if (at is None) == (from_pairs is None):
        raise typer.BadParameter("give --at T, the last iteration to share, or --from-pairs T, but not both")
    parent = RunStore(find_run(run, runs_dir))
    last = at if at is not None else (from_pairs or 1) - 1
    config = forking.fork_config(parent, last, parse_overrides(set_ or ()), name)
    made = forking.fork(parent, last, config, judged=from_pairs is not None)
    more = f" and the judgments of iteration {from_pairs}" if from_pairs is not None else ""
    say(f"{made.path}: shares iterations 0 to {last}{more} of {parent.path}; go on with:")
    say(f"  selfreward run {made.path} -n {config.iterations}")


@app.command()
def doctor(as_json: AsJson = False, runs_dir: RunsDir = RUNS) -> None:
    """Whether this machine has what a run needs; exits with 1 if not."""
    from selfreward.doctor import examine
    from selfreward.terminal import render

    found = examine(runs_dir)
    if as_json:
        print(render.json_text(found))
    else:
        render.console().print(render.checks(found))
    if any(check.state == "bad" for check in found):
        raise typer.Exit(1)


@app.command()
def init(directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to put them.")]) -> None:
    """Write a recipe and seeds to edit."""
    from selfreward import init as starting

    recipe = starting.init(directory)
    say(f"{recipe} and {directory / 'seeds'} are yours to edit; then:")
    say(f"  selfreward run {recipe} --dry-run")
    say(f"  selfreward run {recipe}")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; gives the exit code: 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        _never_fail_on_a_letter(stream)
    try:
        app(arguments, prog_name="selfreward")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except SelfRewardError as error:
        say(f"error: {error}")
        code = 1
    except OSError as error:  # a name that no file can have, a directory that may not be read, …
        say(f"error: {error.filename or 'reading or writing'}: {error.strerror or error}")
        code = 1
    else:
        code = 0
    return code if _flushed() else 1


def _never_fail_on_a_letter(stream: Any) -> None:
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")


def _flushed() -> bool:
    """Whether the reader of our output is still there; where it went (``| head``), that is no error to talk about."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
