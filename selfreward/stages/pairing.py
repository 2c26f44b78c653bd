"""Pairing: one prompt's judged responses become at most one preference pair."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from selfreward.engines.chat import Chat
from selfreward.pair_rules import PairRuleConfig
from selfreward.pair_rules.scored import Scored, usable_responses
from selfreward.records import Judgment, Message, PreferencePair, Prompt, Response, content_id
from selfreward.stages.shard import Shard

VERSION = 1


def build_pairs(
    prompts: Sequence[Prompt],
    responses: Sequence[Response],
    judgments: Sequence[Judgment],
    config: PairRuleConfig,
    chat: Chat,
    reasoning_tags: tuple[str, str],
) -> Shard[PreferencePair]:
    """Pairs in the prompts' order; why there is none is counted, as ``drop.<reason>``, once a prompt.

    Responses that can be in no pair are counted as ``unusable.<reason>``, once a response.
    """
    by_prompt: defaultdict[str, list[Response]] = defaultdict(list)
    verdicts: defaultdict[str, list[Judgment]] = defaultdict(list)
    for response in responses:
        by_prompt[response.prompt_id].append(response)
    for judgment in judgments:
        verdicts[judgment.prompt_id].append(judgment)
    counts: Counter[str] = Counter()
    chosen_and_rejected: list[tuple[Prompt, Scored, Scored]] = []
    for prompt in prompts:
        usable, unusable = usable_responses(by_prompt[prompt.id], verdicts[prompt.id], config.min_readable)
        counts.update({f"unusable.{reason}": n for reason, n in unusable.items()})
        found = "special_tokens" if chat.spells_special(prompt.text) else config.choose(usable)
        if isinstance(found, str):
            counts[f"drop.{found}"] += 1
        else:
            chosen_and_rejected.append((prompt, *found))
    pairs = _pairs(chosen_and_rejected, config, chat, reasoning_tags)
    counts["retokenised"] = sum(pair.retokenised for pair in pairs)
    return Shard(pairs, len(prompts), counts)


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
                retokenised=any(_differs(ids[start:], r.token_ids) for (ids, start), r in sides),
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
