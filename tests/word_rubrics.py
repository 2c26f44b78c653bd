"""Rubrics whose verdicts are words that come up in word soup, so that the tiny model's writing can be read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfreward.resources import find

_JUDGE = """---
name: words
inputs: [prompt, response]
scale: {min: 0, max: 3}
verdict: {type: letter, line: "{{ letter }}", letters: {the: 3, of: 2, to: 1, and: 0}}
golden: {reply: "It is the", score: 3}
---
Which?

<request>
{{ prompt }}
</request>

<response>
{{ response }}
</response>
"""
_META = """---
name: meta_words
inputs: [prompt, judgment_a, judgment_b]
scale: {min: 0, max: 1}
verdict: {type: letter, line: "{{ letter }}", letters: {the: 1, of: 1, to: 0, and: 0}}
golden: {reply: "It is the", score: 1}
---
Which?

<judging_task>
{{ prompt }}
</judging_task>

<judgment_a>
{{ judgment_a }}
</judgment_a>

<judgment_b>
{{ judgment_b }}
</judgment_b>
"""


def write_word_rubrics(directory: Path) -> tuple[str, str]:
    """Paths of a judge's and of a meta-judge's rubric."""
    judge, meta = directory / "words.md", directory / "meta_words.md"
    judge.write_text(_JUDGE, encoding="utf-8")
    meta.write_text(_META, encoding="utf-8")
    return str(judge), str(meta)


def word_soup_recipe(make_recipe: Callable[..., Path], directory: Path, **changes: Any) -> Path:
    """A recipe of two iterations on the tiny model, which judges what it wrote, and its judgments too."""
    judge, meta = write_word_rubrics(directory)
    return make_recipe(
        directory,
        **{
            "seeds": {"ift": str(find("seeds", "ift.jsonl"))},
            "sft": {"enabled": False},
            "judge": {"rubric": judge, "method": {"type": "sampled", "samples": 3, "max_tokens": 24}},
            "meta_judge": {
                "rubric": meta,
                "verdict": {"samples": 1, "max_tokens": 24},
                "max_share": 0.6,
                "max_score_share": 1.0,
            },
            **changes,
        },
    )
