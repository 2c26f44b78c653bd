"""Pairing: one prompt's judged responses become preference pairs."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from selfreward.engines.chat import Chat
from selfreward.pair_rules import PairRuleConfig
from selfreward.pair_rules.corrections import NO_CORRECTIONS, Corrections
from selfreward.pair_rules.scored import Beside, Scored, all_usable
from selfreward.pair_rules.settings import Choice
from selfreward.records import Judgment, Message, PreferencePair, Prompt, Response, content_id
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


def build_pairs(
    part: Part,
    config: PairRuleConfig,
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
    chosen_and_rejected: list[tuple[Prompt, Scored, Scored]] = []
    for prompt, found in _choices(part, config, chat, seed, counts, corrections):
        if isinstance(found, str):
            counts[f"drop.{found}"] += 1
        elif kept is not None and prompt.id not in kept:
            counts["drop.below_top"] += 1
        else:
            corrected = [corrections.sides(*sides) for sides in found]
            counts.update(_decided(found, corrected))
            chosen_and_rejected += [(prompt, *sides) for sides in corrected if sides is not None]
    pairs = _pairs(chosen_and_rejected, config, chat, reasoning_tags)
    counts["retokenised"] = sum(pair.retokenised for pair in pairs)
    return Shard(pairs, len(part.prompts), counts)


def widest_margins(
    part: Part,
    config: PairRuleConfig,
    chat: Chat,
    seed: int = 0,
    corrections: Corrections = NO_CORRECTIONS,
) -> dict[str, float]:
    """Of each prompt that gives pairs the widest margin, by the prompt's id: what a rule's ``keep`` looks at."""
    choices = _choices(part, config, chat, seed, Counter(), corrections)
    return {prompt.id: found[0][0].score - found[0][1].score for prompt, found in choices if not isinstance(found, str)}


def _choices(
    part: Part,
    config: PairRuleConfig,
    chat: Chat,
    seed: int,
    counts: Counter[str],
    corrections: Corrections,
) -> Iterator[tuple[Prompt, Choice]]:
    """What the rule makes of each prompt; unusable responses and scores of persons are added to the counts."""
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
        yield prompt, "special_tokens" if is_special else config.choose(usable, seed)


def _decided(found: Sequence[tuple[Scored, Scored]], corrected: Sequence[tuple[Scored, Scored] | None]) -> Counter[str]:
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


def _pairs(
    found: Sequence[tuple[Prompt, Scored, Scored]], config: PairRuleConfig, chat: Chat, tags: tuple[str, str]
) -> list[PreferencePair]:
    turns = [
        (Message(role="user", content=prompt.text), _turn(side.response, config, tags))
        for prompt, *sides in found
        for side in sides
    ]
    trained = chat.encode_targets(turns)
    pairs = []
    for i, (prompt, chosen, rejected) in enumerate(found):
        (question, best), (_, worst) = turns[2 * i : 2 * i + 2]
        sides = zip(trained[2 * i : 2 * i + 2], (chosen.response, rejected.response), strict=True)
        pairs.append(
            PreferencePair(
                id=content_id("pair", chosen.response.id, rejected.response.id),
                prompt=(question,),
                chosen=(best,),
                rejected=(worst,),
                prompt_id=prompt.id,
                chosen_id=chosen.response.id,
                rejected_id=rejected.response.id,
                chosen_score=chosen.score,
                rejected_score=rejected.score,
                margin=chosen.score - rejected.score,
                chosen_token_ids=chosen.response.token_ids,
                rejected_token_ids=rejected.response.token_ids,
                retokenised=any(_differs(ids[start:], r.token_ids) for (ids, start, _), r in sides),
            )
        )
    return pairs


def _turn(response: Response, config: PairRuleConfig, tags: tuple[str, str]) -> Message:
    content = response.text
    if config.content == "reasoning_and_answer" and response.reasoning is not None:
        content = f"{tags[0]}\n{response.reasoning}\n{tags[1]}\n\n{response.text}"
    return Message(role="assistant", content=content)


def _differs(trained: Sequence[int], generated: Sequence[int]) -> bool:
    # What a template writes after the end of a turn is never generated, so only the common length counts.
    return tuple(trained[: len(generated)]) != tuple(generated)
