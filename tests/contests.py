"""Two models' responses and verdicts on them in a line each."""

from collections.abc import Sequence

from held_out import judgment

from selfreward.evaluation.contests import Contest, contests
from selfreward.records import Judgment, Response


def written(model: str, **texts: str) -> list[Response]:
    """A model's response to each prompt; the id is the prompt's first letter and the model."""
    return [
        Response(
            id=f"{prompt}-{model}",
            prompt_id=prompt,
            index=0,
            text=text,
            token_ids=tuple(range(len(text))),
            finish_reason="stop",
            prompt_tokens=1,
            special_tokens=False,
            model=model,
        )
        for prompt, text in texts.items()
    ]


def verdicts(pair: Contest, shown_first: float | None, shown_second: float | None) -> list[Judgment]:
    """Both orders; each number is the second model's chance to be better, where it is shown first and second."""
    turned = None if shown_second is None else 1 - shown_second
    return [
        judgment((pair.second.id, pair.first.id), shown_first),
        judgment((pair.first.id, pair.second.id), turned),
    ]


def unlike(lengths: Sequence[tuple[int, int]]) -> list[Contest]:
    """A contest a prompt (``a``, ``b``, …) whose texts have these lengths."""
    prompts = [chr(ord("a") + i) for i in range(len(lengths))]
    first = written("one", **{p: "x" * n for p, (n, _) in zip(prompts, lengths, strict=True)})
    second = written("two", **{p: "y" * n for p, (_, n) in zip(prompts, lengths, strict=True)})
    return contests(first, second)
