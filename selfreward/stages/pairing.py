"""Pairing: one prompt's responses become what training is given: pairs, or responses with a label."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from selfreward.engines.chat import Chat
from selfreward.pair_rules.corrections import NO_CORRECTIONS, Corrections
from selfreward.pair_rules.scored import Beside, Scored, all_usable
from selfreward.pair_rules.settings import (
    Choice,
    JudgedSettings,
    LabelSettings,
    PairSettings,
    RuleSettings,
    nothing_labelled,
)
from selfreward.pair_rules.spin import SpinConfig, spin
from selfreward.records import Judgment, Labelled, Message, PreferencePair, Prompt, Response, content_id
from selfreward.stages.shard import Shard

VERSION = 1
OfPrompt = TypeVar("OfPrompt", Response, Judgment)


@dataclass(frozen=True)
class Part:
    """Some of an iteration's prompts with all that came of them."""

    prompts: Sequence[Prompt]
    responses: Sequence[Response]
    judgments: Sequence[Judgment]
    beside: Beside = field(default_factory=Beside)


@dataclass(frozen=True)
class _Side:
    """One side of a pair."""

    id: str
    turn: Message
    token_ids: Sequence[int] | None
    """As they were generated; None for a text that was not."""
    score: float | None


def build_pairs(
    part: Part,
    config: PairSettings | SpinConfig,
    chat: Chat,
    reasoning_tags: tuple[str, str],
    seed: int = 0,
    kept: Collection[str] | None = None,
    corrections: Corrections = NO_CORRECTIONS,
) -> Shard[PreferencePair]:
    """Pairs in the prompts' order; why there is none is counted, as ``drop.<reason>``, once a prompt.

    Responses that can be in no pair are counted as ``unusable.<reason>``, once a response. ``kept`` are the ids of the
    prompts that a rule keeps which looks at the whole iteration; the others are dropped as ``below_top``. What a person
    decided is counted as ``override.<what>``, once a response or pair.
    """
    counts: Counter[str] = Counter()
    sides: list[tuple[Prompt, _Side, _Side]] = []
    if isinstance(config, SpinConfig):
        choices = _against_references(part, config, chat, reasoning_tags, counts)
    else:
        choices = _by_scores(part, config, chat, reasoning_tags, seed, counts, corrections)
    for prompt, found in choices:
        if isinstance(found, str):
            counts[f"drop.{found}"] += 1
        elif kept is not None and prompt.id not in kept:
            counts["drop.below_top"] += 1
        else:
            corrected = [corrections.sides(*two) for two in found]
            counts.update(_decided(found, corrected))
            sides += [(prompt, *two) for two in corrected if two is not None]
    pairs = _pairs(sides, chat)
    counts["retokenised"] = sum(pair.retokenised for pair in pairs)
    return Shard(pairs, len(part.prompts), counts)


def label_responses(
    part: Part,
    config: LabelSettings,
    chat: Chat,
    reasoning_tags: tuple[str, str],
    corrections: Corrections = NO_CORRECTIONS,
) -> Shard[Labelled]:
    """Responses by themselves, in the prompts' order; counts as in :func:`build_pairs`."""
    counts: Counter[str] = Counter()
    kept: list[tuple[Prompt, Scored, bool]] = []
    for prompt, usable in _usable(part, config, chat, counts, corrections):
        if usable is None:
            counts["drop.special_tokens"] += 1
            continue
        found, left_out = config.label(usable)
        counts.update({f"unusable.{reason}": n for reason, n in left_out.items()})
        if reason := nothing_labelled(usable, found):
            counts[f"drop.{reason}"] += 1
        kept += [(prompt, one, label) for one, label in found]
    rows = _labelled(kept, config, chat, reasoning_tags)
    counts["retokenised"] = sum(row.retokenised for row in rows)
    return Shard(rows, len(part.prompts), counts)


def widest_margins(
    part: Part,
    config: PairSettings,
    chat: Chat,
    seed: int = 0,
    corrections: Corrections = NO_CORRECTIONS,
) -> dict[str, float]:
    """Of each prompt that gives pairs the widest margin, by the prompt's id: what a rule's ``keep`` looks at."""
    choices = _choices(part, config, chat, seed, Counter(), corrections)
    return {prompt.id: found[0][0].score - found[0][1].score for prompt, found in choices if not isinstance(found, str)}


def _choices(
    part: Part, config: PairSettings, chat: Chat, seed: int, counts: Counter[str], corrections: Corrections
) -> Iterator[tuple[Prompt, Choice]]:
    """What the rule makes of each prompt's scores."""
    for prompt, usable in _usable(part, config, chat, counts, corrections):
        yield prompt, "special_tokens" if usable is None else config.choose(usable, seed)


def _usable(
    part: Part, config: JudgedSettings, chat: Chat, counts: Counter[str], corrections: Corrections
) -> Iterator[tuple[Prompt, list[Scored] | None]]:
    """Each prompt's usable responses; None where the prompt itself is not.

    Unusable responses and scores of persons are counted.
    """
    own, verdicts = _by_prompt(part.responses), _by_prompt(part.judgments)
    initial, initial_verdicts = _by_prompt(part.beside.initial), _by_prompt(part.beside.initial_judgments)
    previous = _by_prompt(part.beside.previous_judgments)
    special = chat.which_spell_special([prompt.text for prompt in part.prompts])
    for prompt, is_special in zip(part.prompts, special, strict=True):
        one = prompt.id
        more = Beside(initial[one], initial_verdicts[one], previous[one])
        usable, unusable = all_usable(own[one], verdicts[one], more, config.min_readable, corrections.scores)
        counts.update(+Counter({"override.scored": sum(side.response.id in corrections.scores for side in usable)}))
        counts.update({f"unusable.{reason}": n for reason, n in unusable.items()})
        yield prompt, None if is_special else usable


def _by_scores(
    part: Part,
    config: PairSettings,
    chat: Chat,
    tags: tuple[str, str],
    seed: int,
    counts: Counter[str],
    corrections: Corrections,
) -> Iterator[tuple[Prompt, list[tuple[_Side, _Side]] | str]]:
    def side(scored: Scored) -> _Side:
        response = scored.response
        return _Side(response.id, _turn(response, config, tags), response.token_ids, scored.score)

    for prompt, found in _choices(part, config, chat, seed, counts, corrections):
        yield prompt, found if isinstance(found, str) else [(side(best), side(worst)) for best, worst in found]


def _against_references(
    part: Part, config: SpinConfig, chat: Chat, tags: tuple[str, str], counts: Counter[str]
) -> Iterator[tuple[Prompt, list[tuple[_Side, _Side]] | str]]:
    own = _by_prompt(part.responses)
    special = chat.which_spell_special([f"{prompt.text}\n{prompt.reference or ''}" for prompt in part.prompts])
    for prompt, is_special in zip(part.prompts, special, strict=True):
        found, unusable = spin(prompt.reference, own[prompt.id])
        counts.update({f"unusable.{reason}": n for reason, n in unusable.items()})
        if is_special or isinstance(found, str):
            yield prompt, "special_tokens" if is_special else str(found)
            continue
        reference = Message(role="assistant", content=prompt.reference or "")
        chosen = _Side(prompt.seed_id or prompt.id, reference, None, None)
        yield prompt, [(chosen, _Side(r.id, _turn(r, config, tags), r.token_ids, None)) for r in found]


def _decided(found: Sequence[tuple[_Side, _Side]], corrected: Sequence[tuple[_Side, _Side] | None]) -> Counter[str]:
    """What a person's decisions did to one prompt's pairs."""
    swapped = sum(new is not None and new != old for new, old in zip(corrected, found, strict=True))
    excluded = corrected.count(None)
    done = {"override.excluded": excluded, "override.swapped": swapped, "drop.excluded": excluded == len(found)}
    return +Counter(done)


def _by_prompt(records: Sequence[OfPrompt]) -> defaultdict[str, list[OfPrompt]]:
    found: defaultdict[str, list[OfPrompt]] = defaultdict(list)
    for record in records:
        found[record.prompt_id].append(record)
    return found


def _pairs(found: Sequence[tuple[Prompt, _Side, _Side]], chat: Chat) -> list[PreferencePair]:
    turns = [(_question(prompt), side.turn) for prompt, *sides in found for side in sides]
    trained = _trained(turns, chat)
    pairs = []
    for i, (prompt, chosen, rejected) in enumerate(found):
        best, worst = trained[2 * i : 2 * i + 2]
        pairs.append(
            PreferencePair(
                id=content_id("pair", chosen.id, rejected.id),
                prompt=(turns[2 * i][0],),
                chosen=(chosen.turn,),
                rejected=(rejected.turn,),
                prompt_id=prompt.id,
                chosen_id=chosen.id,
                rejected_id=rejected.id,
                chosen_score=chosen.score,
                rejected_score=rejected.score,
                margin=None if chosen.score is None or rejected.score is None else chosen.score - rejected.score,
                chosen_token_ids=tuple(best if chosen.token_ids is None else chosen.token_ids),
                rejected_token_ids=tuple(worst if rejected.token_ids is None else rejected.token_ids),
                retokenised=_differs(best, chosen.token_ids) or _differs(worst, rejected.token_ids),
            )
        )
    return pairs


def _labelled(
    found: Sequence[tuple[Prompt, Scored, bool]], config: RuleSettings, chat: Chat, tags: tuple[str, str]
) -> list[Labelled]:
    turns = [(_question(prompt), _turn(scored.response, config, tags)) for prompt, scored, _ in found]
    return [
        Labelled(
            id=content_id("labelled", scored.response.id),
            prompt=(question,),
            completion=(answer,),
            label=label,
            prompt_id=prompt.id,
            response_id=scored.response.id,
            score=scored.score,
            token_ids=scored.response.token_ids,
            retokenised=_differs(trained, scored.response.token_ids),
        )
        for (prompt, scored, label), (question, answer), trained in zip(
            found, turns, _trained(turns, chat), strict=True
        )
    ]


def _question(prompt: Prompt) -> Message:
    return Message(role="user", content=prompt.text)


def _turn(response: Response, config: RuleSettings, tags: tuple[str, str]) -> Message:
    content = response.text
    if config.content == "reasoning_and_answer" and response.reasoning is not None:
        content = f"{tags[0]}\n{response.reasoning}\n{tags[1]}\n\n{response.text}"
    return Message(role="assistant", content=content)


def _trained(turns: Sequence[Sequence[Message]], chat: Chat) -> list[list[int]]:
    """Of each chat the ids of the last turn, as training tokenises it."""
    return [target.ids[target.start :] for target in chat.encode_targets(turns)]


def _differs(trained: Sequence[int], generated: Sequence[int] | None) -> bool:
    # The length that both have is what counts: a turn may be generated up to its end and no further.
    return generated is not None and tuple(trained[: len(generated)]) != tuple(generated)
