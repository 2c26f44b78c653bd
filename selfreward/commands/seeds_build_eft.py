"""``selfreward seeds build-eft``: ranked responses as EFT data (Yuan et al. 2024, section 3.1)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import typer

from selfreward.commands.options import RUNS, AsJson, Overrides, RunsDir, refuse_output, say
from selfreward.errors import SeedError

if TYPE_CHECKING:
    from selfreward.config import RunConfig
    from selfreward.verdicts.who import Who

T = TypeVar("T", bound=str)


def build_eft(  # noqa: PLR0913, PLR0917 (options)
    ranked: Annotated[
        Path, typer.Argument(metavar="RANKED", help="Ranked rows (`seeds import --as ranked`), or EFT rows to convert.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.jsonl", help="Where to write the EFT rows.")],
    run: Annotated[str | None, typer.Option(metavar="RUN", help="The judge is a model of this run.")] = None,
    iteration: Annotated[
        int | None, typer.Option("-i", "--iteration", min=0, metavar="T", help="Which: M_T; the run's last otherwise.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="The judge, its rubric and its engine as in this recipe.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="The judge is this model.")] = None,
    set_: Overrides = None,
    from_ranks: Annotated[
        bool, typer.Option("--from-ranks", help="No judge: scores without reasons, made of the ranks.")
    ] = False,
    spread: Annotated[
        str, typer.Option(metavar="evenly|quality", help="For --from-ranks: from what a score is made.")
    ] = "evenly",
    keep: Annotated[
        str, typer.Option(metavar="strict|pair", help="What has to agree: a whole prompt, or a response's own pairs.")
    ] = "strict",
    thin: Annotated[
        str, typer.Option(metavar="second|none|SHARE", help="How far the most frequent score is thinned out.")
    ] = "second",
    heldout: Annotated[
        float, typer.Option(min=0, max=0.9, metavar="SHARE", help="Share of prompts kept for measuring the judge.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="For the held-out part and for thinning.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    as_json: AsJson = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Make EFT rows of ranked responses: judgments that agree with people, and a held-out part."""
    from selfreward.eft.building import Choices, heldout_path
    from selfreward.eft.making import Request, beside, make_eft
    from selfreward.progress import Reporter
    from selfreward.seeding.agreement import KEEPS
    from selfreward.seeding.from_ranks import SPREADS
    from selfreward.seeding.thinning import read_thin
    from selfreward.terminal import render, render_eft

    thins, at_most = read_thin(thin)
    if from_ranks and (model or iteration is not None):
        raise typer.BadParameter("--from-ranks asks no judge; leave out --model and -i")
    if spread != "evenly" and not from_ranks:
        raise typer.BadParameter("--spread says how --from-ranks makes scores; give both, or neither")
    kept, spreads = _one_of("--keep", keep, KEEPS), _one_of("--spread", spread, SPREADS)
    request = Request(
        ranked, output, Choices(kept, thins, at_most, heldout, spreads, seed), thin=thin, from_ranks=from_ranks
    )
    refuse_output(output, ranked, beside(output), [output, heldout_path(output)], force=force)
    judge = _Judge(run, iteration, recipe, model, set_ or [], runs_dir)
    try:
        report = make_eft(request, judge.config(), judge.who, Reporter())
    except KeyboardInterrupt:
        say("stopped; the judgments made so far are kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    if as_json:
        print(render.json_text(report))
    else:
        for line in render_eft.lines(report):
            say(line)


def _one_of(option: str, value: str, known: Sequence[T]) -> T:
    for name in known:
        if value == name:
            return name
    raise typer.BadParameter(f"{option} {value}: expected one of {', '.join(known)}")


class _Judge(NamedTuple):
    """Who judges, as the options say it."""

    run: str | None
    iteration: int | None
    recipe: str | None
    model: str | None
    set_: list[str]
    runs_dir: Path

    def config(self) -> "RunConfig":
        """Rubric, method and engine: of the run, the recipe, or as they are by default."""
        from selfreward.config import make_config
        from selfreward.setting_names import parse_overrides
        from selfreward.storage.catalogue import find_config, find_run
        from selfreward.storage.run import RunStore
        from selfreward.verdicts.judging import judging_alone, plain_config

        named = [name for name, value in (("--run", self.run), ("--recipe", self.recipe)) if value]
        if len(named) == 2 or (self.run and self.model):
            raise typer.BadParameter("--run goes with neither --recipe nor --model: its own model judges")
        if self.iteration is not None and not self.run:
            raise typer.BadParameter("-i says which model of a run judges; name the run with --run")
        if self.run:
            path = find_run(self.run, self.runs_dir)
            config = judging_alone(RunStore(path).config().model_dump(mode="json"))
            return make_config(config, {**parse_overrides(self.set_), "judge.model": None}, str(path))
        if self.recipe:
            judge = [f"judge.model.name={json.dumps(self.model)}"] if self.model else []
            return find_config(self.recipe, [*judge, *self.set_])
        return plain_config(self.model, self.set_)

    def who(self) -> "Who":
        """The model itself.

        Raises:
            SeedError: nobody is named.
        """
        from selfreward.storage.catalogue import find_run
        from selfreward.storage.run import RunStore
        from selfreward.verdicts.judging import model_of_run, named_model

        if self.run:
            return model_of_run(RunStore(find_run(self.run, self.runs_dir)), self.iteration, self.config())
        config = self.config()
        if not (self.recipe or self.model or config.judge.model):
            raise SeedError(
                "nobody is named to judge: --run RUN takes a run's last model, --recipe RECIPE the recipe's, --model "
                "MODEL any other; --from-ranks needs none"
            )
        return named_model(config)
