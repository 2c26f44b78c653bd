"""How `selfreward show` prints the whole way of an item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from selfreward.records import EFTSeed, Judgment
from selfreward.terminal.render import Indented, preview
from selfreward.walk import Candidate, JudgmentsCompared, PromptWalk, SeedWalk

if TYPE_CHECKING:
    from rich.console import RenderableType

    from selfreward.query.questions import Questions

_MARK = " <-"
"""Stands behind what was asked about."""
_NO_PAIR = {
    "too_few_usable": "fewer than two candidates can be used",
    "tie": "all usable candidates have the same score",
    "small_margin": "best and worst differ by {difference:.3f}, less than min_margin {min_margin:g}",
    "small_tier_margin": "the shortest of the best and the longest of the worst differ by less than min_margin "
    "{min_margin:g}",
    "identical": "what would be chosen and what would be rejected are the same text",
    "one_side_only": "only one of the two models has a response that can be used",
    "initial_not_worse": "the best response is not better than the worst of {initial}",
    "small_initial_margin": "the best response and the worst of {initial} differ by less than min_margin "
    "{min_margin:g}",
    "no_earlier_ranking": "the model before could not be read on two of the responses, or ranks none above another",
    "inconsistent": "the model before ranks the responses otherwise: Kendall's tau is below min_tau {min_tau:g}",
    "no_reference": "the prompt has no answer that could be chosen",
    "none_usable": "no candidate can be used",
    "none_good_enough": "no candidate's mean score reaches min_score {min_score:g}",
    "special_tokens": "the prompt spells a special token, and such text is never trained on",
    "excluded": "a person left it out",
    "below_top": "best and worst differ by {difference:.3f}, not among the widest {fraction:.0%} of the iteration",
}
_RULES = {
    "best_worst": "of the usable candidates, the best against the worst by mean score",
    "length_controlled": "the shortest within {rho:g} of the best score against the longest within it of the worst",
    "all_pairs": "every two usable candidates that are far enough apart by mean score",
    "best_random": "the best by mean score against one drawn from the worse",
    "rejected_from_initial": "the best by mean score against the worst that {initial} wrote",
    "consistent": "the best against the worst, where the model before ranks likewise (Kendall's tau from {min_tau:g})",
    "top_margin": "the best against the worst, for the {fraction:.0%} of prompts where they are furthest apart",
    "spin": "the answer that is given with the prompt against each of the model's own",
    "positives": "every usable candidate with a mean score of at least {min_score:g}, by itself",
    "threshold": "every usable candidate by itself, wanted from a mean score of {min_score:g} on",
}
"""What each pair rule does, filled in with its settings."""
_NO_JUDGMENT_PAIR = {
    "unreadable": "no two of them could be compared in both orders",
    "no_agreement": "of no two is the same one better in both orders",
    "tie": "those that won and lost are equally strong",
    None: "it is not built yet, or was left out: it is too long, its score is chosen too often, or there are "
    "meta_judge.max_share of such pairs already",
}
_STYLES = {"chosen": "bold green", "wanted": "bold green", "rejected": "bold red", "unwanted": "bold red"}
_UNUSABLE = {
    "truncated": "it was cut off at the length limit",
    "empty": "it is empty",
    "special_tokens": "it spells a special token",
    "unjudged": "fewer than min_readable {min_readable} of its verdicts could be read",
}


def walked(found: PromptWalk | SeedWalk) -> RenderableType:
    """Everything about one item, top to bottom in the order in which it came about."""
    from rich.console import Group

    return Group(*(_seed(found) if isinstance(found, SeedWalk) else _prompt(found)))


def _prompt(found: PromptWalk) -> Iterator[RenderableType]:
    prompt = found.prompt
    if found.few_shot:
        yield _title(f"Shown before the prompt ({len(found.few_shot)})")
        for shot in found.few_shot:
            kind = "seed" if shot.kind == "seed" else f"prompt of iteration {shot.iteration}"
            yield Indented(f"{shot.id} ({kind})", 2)
            yield Indented(shot.text, 4)
    author = f", written by {prompt.model}" if prompt.model else ", from a file"
    if prompt.seed_id:
        author = f", of seed {prompt.seed_id}"
    yield _title(f"Prompt {prompt.id} (iteration {found.iteration}{author})", prompt.id == found.item)
    yield Indented(prompt.text, 2)
    if prompt.raw.strip() not in ("", prompt.text):
        yield Indented("before cleaning:", 2)
        yield Indented(prompt.raw.strip("\n"), 4, "dim")
    yield _title(f"Candidates ({len(found.candidates)})")
    for candidate in found.candidates:
        yield from _candidate(candidate, found)
    if found.pair is None:
        yield _title("Decision")
    else:
        yield _title(f"Pair {found.pair.id}", found.pair.id == found.item)
    for line in _reasons(found):
        yield Indented(line, 2)
    if found.judgments_compared is not None:
        yield from _judged_judgments(found.judgments_compared, found.item)


def _candidate(candidate: Candidate, found: PromptWalk) -> Iterator[RenderableType]:
    response = candidate.response
    score = "no readable verdict" if candidate.score is None else f"mean score {candidate.score:.3f}"
    if candidate.given is not None:
        score += f" (a person gives {candidate.given:g})"
    if candidate.before is not None:
        score += f" (by the model before {candidate.before:.3f})"
    ended = "cut off" if response.finish_reason == "length" else "ended by itself"
    style = _STYLES.get(candidate.role or "", "bold")
    role = f" {candidate.role.upper()}" if candidate.role else " (not usable)" if candidate.unusable else ""
    mark = _MARK if response.id == found.item else ""
    yield Indented(f"{response.id}{role}{mark}", 2, style)
    yield Indented(f"{score}; {len(response.token_ids)} tokens, {ended}; by {response.model}", 4)
    if candidate.injection:
        yield Indented(f"could steer a judge: {', '.join(candidate.injection)}", 4, "yellow")
    if response.reasoning:
        yield Indented("reasoning:", 4)
        yield Indented(response.reasoning, 6, "dim")
    yield Indented(response.text or "(empty)", 4)
    for judgment in candidate.judgments:
        yield from one_judgment(judgment, judgment.id == found.item)
    yield Indented("", 0)


def one_judgment(judgment: Judgment, asked_about: bool = False) -> Iterator[RenderableType]:
    """What it says and what was written."""
    verdict = "unreadable" if judgment.score is None else f"{judgment.score:.3f}"
    about = [*filter(None, (judgment.method, judgment.rubric)), f"by {judgment.model}"]
    if len(judgment.response_ids) > 1:
        verdict = "unreadable" if judgment.score is None else f"P(first is better) {judgment.score:.3f}"
        about.append(" against ".join(judgment.response_ids))
    if judgment.shortened:
        about.append("response shortened for the judge")
    yield Indented(f"{judgment.id}: {verdict}{_MARK if asked_about else ''}", 6, "bold" if asked_about else "cyan")
    yield Indented(", ".join(about), 8)
    if judgment.aspects is not None:
        yield Indented(", ".join(f"{aspect.name} {aspect.score:.4g}" for aspect in judgment.aspects), 8)
    if judgment.distribution is not None:
        shares = "  ".join(f"{p:.3f}" for p in judgment.distribution)
        mass = "" if judgment.mass is None else f"; {judgment.mass:.3f} of all probability is on scores"
        yield Indented(f"P(score), lowest first: {shares}{mass}", 8)
    for number, raw in enumerate(judgment.unreadable, 1):
        yield Indented(f"unreadable try {number}:", 8)
        yield Indented(raw, 10, "dim")
    if judgment.raw:
        yield Indented(judgment.raw, 8, "dim")


def _judged_judgments(found: JudgmentsCompared, item: str) -> Iterator[RenderableType]:
    yield _title(f"Judgments of {found.response_id} compared ({len(found.comparisons)} verdicts)")
    for comparison in found.comparisons:
        yield from one_judgment(comparison, comparison.id == item)
    pair = found.pair
    if pair is None:
        yield _title("No pair of judgments")
        yield Indented(_NO_JUDGMENT_PAIR[found.reason], 2)
    else:
        yield _title(f"Pair of judgments {pair.id}", pair.id == item)
        yield Indented(f"chosen   {pair.chosen_id}  strength {pair.chosen_score:.3f}", 2)
        yield Indented(f"rejected {pair.rejected_id}  strength {pair.rejected_score:.3f}", 2)
        yield Indented("both as answers to what the judge was asked, in its very words", 2)


def asked(found: Questions) -> RenderableType:
    """Every question to the judge, word for word."""
    from rich.console import Group

    return Group(*_asked(found))


def _asked(found: Questions) -> Iterator[RenderableType]:
    yield _title("What the judge was asked")
    if found.method:
        yield Indented(", ".join(f"{name} {value}" for name, value in found.method.items()), 2)
    if found.missing:
        yield Indented(found.missing, 2, "yellow")
    for question in found.questions:
        yield Indented(f"about {' against '.join(question.response_ids)}, by {question.rubric}", 2, "bold")
        if question.shortened:
            yield Indented("the middle of a response was left out to fit the context; here it stands whole", 4)
        for message in question.messages:
            yield Indented(message.content, 4)
        if question.prefill:
            yield Indented(f"its turn was opened with: {question.prefill}", 4)
        yield Indented("", 0)


def _reasons(found: PromptWalk) -> Iterator[str]:
    decision, pair = found.decision, found.pair
    rule = decision.rule
    if pair is not None:
        yield f"chosen   {pair.chosen_id}{_score(pair.chosen_score)}"
        yield f"rejected {pair.rejected_id}{_score(pair.rejected_score)}"
        if pair.margin is not None:
            least = f"at least min_margin {rule['min_margin']:g}"
            yield f"margin   {pair.margin:.3f}, {'a person chose the other side' if pair.margin < 0 else least}"
        yield f"rule     {rule['type']}: {_RULES[rule['type']].format(**rule)}"
        if found.further_pairs:
            yield f"further  {len(found.further_pairs)} of this prompt's pairs: {', '.join(found.further_pairs)}"
        if pair.retokenised:
            yield "note     TRL's tokenisation of this pair differs from the generated tokens"
    elif decision.outcome == "labelled":
        yield f"rule     {rule['type']}: {_RULES[rule['type']].format(**rule)}"
    elif decision.outcome == "open":
        yield "pairs are not built yet"
    else:
        words = _NO_PAIR.get(decision.reason or "", decision.reason or "")
        yield f"no pair: {words.format(difference=decision.difference or 0.0, **rule)}"
    for candidate in found.candidates:
        if candidate.unusable:
            why = _UNUSABLE.get(candidate.unusable, candidate.unusable).format(**rule)
            yield f"not used {candidate.response.id}: {why}"


def _score(score: float | None) -> str:
    return "" if score is None else f"  score {score:.3f}"


def _seed(found: SeedWalk) -> Iterator[RenderableType]:
    seed = found.seed
    kind = "EFT" if isinstance(seed, EFTSeed) else "IFT"
    yield _title(f"{kind} seed {seed.id} (line {seed.line} of its file)")
    if isinstance(seed, EFTSeed):
        parts = [("instruction", seed.instruction), ("response", seed.response), ("rationale", seed.rationale)]
        parts.append(("score", f"{seed.score:g}"))
    else:
        parts = [(message.role, message.content) for message in seed.messages]
    for name, text in parts:
        yield Indented(f"{name}:", 2)
        yield Indented(text, 4)
    yield Indented(f"It is {'one' if found.trained_on else 'not one'} of the SFT examples.", 2)
    if kind == "IFT":
        yield _title(f"Prompts that were written after it ({len(found.prompts)})")
        for prompt in found.prompts:
            yield Indented(f"{prompt.id} (iteration {prompt.iteration})", 2)
            yield Indented(preview(prompt.text), 4)


def _title(words: str, asked_about: bool = False) -> RenderableType:
    return Indented(words + (_MARK if asked_about else ""), 0, "bold underline")
