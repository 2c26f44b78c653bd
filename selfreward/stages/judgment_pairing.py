"""Pairing judgments: the best against the worst of a contested response, as an answer to what the judge was asked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfreward.engines.chat import Chat
from selfreward.judges import JudgeConfig
from selfreward.meta_judge.balance import Outline
from selfreward.meta_judge.contested import Judged, question
from selfreward.meta_judge.ranking import Placed, best_and_worst
from selfreward.records import Judgment, Message, PreferencePair, content_id
from selfreward.stages.shard import Shard
from selfreward.templates import Rubric

VERSION = 1


@dataclass(frozen=True)
class PairMaker:
    """How judgments become pairs: the judge's own words around them, and how long both may be."""

    config: JudgeConfig
    rubric: Rubric
    chat: Chat
    max_judgment_tokens: int | None
    """Of a chosen judgment."""
    max_length: int | None
    """Of the question with a judgment, as training takes it; None where training takes any."""

    def outlines(self, part: Sequence[Judged]) -> list[Outline]:
        """What decides which pairs are kept, once those of the whole iteration are known."""
        return [found[1] for judged in part if not isinstance(found := self._pair(judged), str)]

    def pairs(self, part: Sequence[Judged], dropped: Mapping[str, str]) -> Shard[PreferencePair]:
        """Pairs in the prompts' order; why there is none is counted, as ``drop.<reason>``, once a prompt.

        ``dropped`` are ids of pairs that are not kept.
        """
        counts: Counter[str] = Counter()
        kept = []
        for judged in part:
            found = self._pair(judged)
            reason = found if isinstance(found, str) else dropped.get(found[0].id)
            if reason:
                counts[f"drop.{reason}"] += 1
            elif not isinstance(found, str):
                kept.append(found[0])
        return Shard(kept, len(part), counts)

    def _pair(self, judged: Judged) -> tuple[PreferencePair, Outline] | str:
        """Reasons: ``not_compared``, those of ranking, ``long_judgment``, ``too_long`` (for training)."""
        if not judged.comparisons:
            return "not_compared"
        compared = {id for comparison in judged.comparisons for id in comparison.response_ids}
        judgments = [judgment for judgment in judged.judgments if judgment.id in compared]
        found = best_and_worst(judgments, judged.comparisons)
        if isinstance(found, str):
            return found
        best, worst = found
        asked = self._question(judged, best.judgment)
        turns = [_turn(placed.judgment) for placed in found]
        targets = self.chat.encode_targets([(asked, turn) for turn in turns])
        if self.max_judgment_tokens and len(self.chat.plain_ids(best.judgment.raw)) > self.max_judgment_tokens:
            return "long_judgment"
        if self.max_length and max(len(target.ids) for target in targets) > self.max_length:
            return "too_long"
        chosen_ids, rejected_ids = (tuple(target.ids[target.start :]) for target in targets)
        pair = PreferencePair(
            id=content_id("pair", best.judgment.id, worst.judgment.id),
            prompt=(asked,),
            chosen=(turns[0],),
            rejected=(turns[1],),
            prompt_id=judged.prompt.id,
            chosen_id=best.judgment.id,
            rejected_id=worst.judgment.id,
            chosen_score=best.strength,
            rejected_score=worst.strength,
            margin=best.strength - worst.strength,
            # Records of judgments do not keep the generated ids: these are what training makes of the text.
            chosen_token_ids=chosen_ids,
            rejected_token_ids=rejected_ids,
            retokenised=False,
        )
        return pair, _outline(pair, best, margin=best.strength - worst.strength)

    def _question(self, judged: Judged, judgment: Judgment) -> Message:
        (response,) = (r for r in judged.responses if r.id == judgment.response_ids[0])
        return question(self.rubric, self.config, judged.prompt, response)


def _turn(judgment: Judgment) -> Message:
    return Message(role="assistant", content=judgment.raw)


def _outline(pair: PreferencePair, best: Placed, margin: float) -> Outline:
    assert best.judgment.score is not None  # unreadable judgments are not compared
    return Outline(pair.id, best.judgment.score, margin)
