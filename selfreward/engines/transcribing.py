"""Between chats and token ids, for engines that are handed ids and give ids back."""

from collections.abc import Sequence
from dataclasses import dataclass

from selfreward.engines.chat import Chat, Target
from selfreward.engines.protocol import Completion, Request


@dataclass(frozen=True)
class Transcriber:
    """One model's tokenizer, and the tokens that end its turns."""

    chat: Chat
    reasoning_tags: tuple[str, str]
    eos: tuple[int, ...]

    def encode(self, requests: Sequence[Request]) -> list[list[int]]:
        """Token ids of each request, prefill included."""
        return self.chat.encode([r.messages for r in requests], [r.prefill for r in requests])

    def targets(self, requests: Sequence[Request]) -> list[Target]:
        """Token ids of finished chats, through the end of their last turn, and where that begins."""
        return self.chat.encode_targets([r.messages for r in requests])

    def completion(self, row: Sequence[int], stop: Sequence[str]) -> Completion:
        """What was written, from generated ids; those after the end of the turn are padding."""
        row = self._without_padding(row)
        ended = next((i for i, token in enumerate(row) if token in self.eos), None)
        ids = row if ended is None else row[: ended + 1]
        text = self.chat.decode(ids)
        stopped = ended is not None
        for words in stop:
            text, found, _ = text.partition(words)
            stopped = stopped or bool(found)
        written = ids if ended is None else ids[:-1]
        return Completion(
            text=text,
            token_ids=tuple(ids),
            finish_reason="stop" if stopped else "length",
            special_tokens=self.holds_special(text, written),
        )

    def _without_padding(self, row: Sequence[int]) -> Sequence[int]:
        pad = self.chat.tokenizer.pad_token_id
        if pad not in self.eos:  # a row that a stop string ended is filled up with padding
            while row and row[-1] == pad:
                row = row[:-1]
        return row

    def holds_special(self, text: str, token_ids: Sequence[int]) -> bool:
        """Whether something other than reasoning tags, which are added tokens in many models, is special in it."""
        for tag in self.reasoning_tags:
            text = text.replace(tag, " ")
        added = self.chat.tokenizer.added_tokens_encoder
        control = self.chat.control_ids - {added[tag] for tag in self.reasoning_tags if tag in added}
        return self.chat.spells_special(text) or not control.isdisjoint(token_ids)
