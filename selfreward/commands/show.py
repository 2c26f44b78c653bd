"""``selfreward show``: one item's whole way."""

from typing import Annotated

import typer

from selfreward.commands.options import RUNS, AsJson, RunName, RunsDir, find_run


def show(
    run: RunName,
    item: Annotated[
        str, typer.Argument(metavar="ITEM_ID", help="A pair, prompt, response, judgment or seed, or how its id begins.")
    ],
    judge_prompt: Annotated[
        bool, typer.Option("--judge-prompt", help="Also print what the judge was asked, word for word.")
    ] = False,
    as_json: AsJson = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """One item's whole way: what bred it, how it was judged, who won."""
    from selfreward.query.questions import questions_of
    from selfreward.storage.run import RunStore
    from selfreward.terminal import render
    from selfreward.walk import PromptWalk, walk

    store = RunStore(find_run(run, runs_dir))
    found = walk(store, item)
    asked = questions_of(store, found) if judge_prompt and isinstance(found, PromptWalk) else None
    if as_json:
        print(render.json_text(found if asked is None else asked))
        return
    from selfreward.terminal import render_walk

    render.console().print(render_walk.walked(found))
    if asked is not None:
        render.console().print(render_walk.asked(asked))
