"""``selfreward override``: a person's decision about a pair or a score."""

from typing import Annotated

import typer

from selfreward.commands.options import RUNS, AsJson, RunName, RunsDir, find_run, say


def override(  # noqa: PLR0913, PLR0917 (options)
    run: RunName,
    item: Annotated[
        str,
        typer.Argument(metavar="PAIR_ID", help="A pair, or how its id begins; with --score a labelled response too."),
    ],
    reason: Annotated[str, typer.Option(metavar="WORDS", help="Why; it is written down beside the decision.")],
    exclude: Annotated[bool, typer.Option("--exclude", help="Leave the pair out.")] = False,
    swap: Annotated[bool, typer.Option("--swap", help="Choose the side that was rejected.")] = False,
    score: Annotated[
        str | None, typer.Option(metavar="RESPONSE_ID=N", help="Give a response of the pair's prompt this score.")
    ] = None,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take back what was decided about the pair, or about a RESPONSE_ID.")
    ] = False,
    who: Annotated[str, typer.Option(metavar="NAME", help="Who decides; who runs the command otherwise.")] = "",
    as_json: AsJson = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Leave a pair out, swap it or set a score: used when pairs are next built; judgments stay as they are."""
    from selfreward import overriding
    from selfreward.storage.run import RunStore
    from selfreward.terminal import render

    if sum((exclude, swap, score is not None, withdraw)) != 1:
        raise typer.BadParameter("give one of --exclude, --swap, --score RESPONSE_ID=N and --withdraw")
    store = RunStore(find_run(run, runs_dir))
    if score is not None:
        response, number = _response_and_score(score)
        made = overriding.set_score(store, response, number, reason, who, of=item)
    elif exclude:
        made = overriding.exclude(store, item, reason, who)
    elif swap:
        made = overriding.swap(store, item, reason, who)
    else:
        made = overriding.withdraw(store, item, reason, who)
    if as_json:
        print(render.json_text(made))
    state = overriding.override_state(store, made.iteration)
    about = f"{made.pair_id or made.response_id}: {made.action} is written down"
    if state.fork_command is None:
        say(f"{about}; {'the pairs that are there are as decided' if state.built else 'pairs will be built with it'}")
        return
    used = "a model was trained on" if state.trained else "that are there"
    say(f"{about}; the pairs {used} stay as they are. To build them anew with it:")
    say(f"  {state.fork_command}")


def _response_and_score(given: str) -> tuple[str, float]:
    response, equals, number = given.partition("=")
    try:
        score = float(number)
    except ValueError:
        equals = ""
    if not equals or not response.strip():
        raise typer.BadParameter(f"--score {given}: expected RESPONSE_ID=N, such as r-3f9a=4")
    return response.strip(), score
