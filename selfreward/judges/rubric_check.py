"""Whether a judge can use a rubric: what it fills in, and whether every verdict that it asks for can be read."""

import math

from selfreward.templates import Rubric

INPUTS = frozenset({"prompt", "response"})
"""What a judge fills in."""


def faults(rubric: Rubric) -> list[str]:
    """What is wrong with a rubric, each with the file and the way out; nothing where it can be used."""
    front, found = rubric.front, []
    if set(front.inputs) != INPUTS:
        found.append(f"inputs: found {', '.join(front.inputs)}; a judge fills in prompt and response")
    unread = [score for score in front.scale.scores if rubric.read(rubric.verdict(score)) != score]
    if unread:
        written = rubric.verdict(unread[0])
        found.append(
            f"verdict: {written!r} cannot be read back as {unread[0]}; expected a label, a colon and the score at the "
            'end, such as "Score: {{ score }}", and a scale whose scores it can give'
        )
    score = rubric.read(front.golden.reply)
    if score is None or not math.isclose(score, front.golden.score):
        read = "nothing" if score is None else f"{score:g}"
        found.append(
            f"golden: {front.golden.score:g} was expected of its reply, and {read} is read; write it as the words ask"
        )
    return [f"{rubric.path}: {fault}" for fault in found]
