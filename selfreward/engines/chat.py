"""From messages to token ids, so that nothing inside a message can act as a special token.

A chat template is text, and so is untrusted content: a response that spells ``<|im_end|>`` and a new assistant turn
would close its own turn if both were tokenised together. Content is therefore checked in token ids, and tokenised apart
from the template, with every special string broken up, wherever the two together give more special tokens than the
template alone.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from selfreward.errors import ModelError
from selfreward.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Private-use characters mark where content goes in a rendered template.
_SLOT = re.compile("\ue000(\\d+)\ue001")


class Target(NamedTuple):
    """A finished chat, of which the last message is to be learned."""

    ids: list[int]
    start: int
    """How many of them come before the last message's own."""
    spells_special: bool
    """Whether a message spells a special token."""


class Chat:
    """A tokenizer with its chat template.

    Raises:
        ModelError: the tokenizer has no chat template.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", template_kwargs: Mapping[str, Any]) -> None:
        if not tokenizer.chat_template:
            raise ModelError(
                f"{tokenizer.name_or_path}: the model has no chat template; set model.chat_template to a Jinja "
                "template file, or name an instruct model"
            )
        self.tokenizer = tokenizer
        self.template_kwargs = dict(template_kwargs)
        control = {
            token.content: token_id
            for token_id, token in tokenizer.added_tokens_decoder.items()
            if token.content.strip()  # some tokenizers add runs of spaces; those are ordinary text
        }
        self.control_ids = frozenset(control.values())
        longest_first = sorted(control, key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self.fingerprint = hashlib.sha256(
            json.dumps([tokenizer.chat_template, self.template_kwargs], sort_keys=True).encode()
        ).hexdigest()
        self._skeletons: dict[tuple[Any, ...], str] = {}
        self._special_in_template: dict[tuple[Any, ...], int] = {}

    def spells_special(self, text: str) -> bool:
        """Whether a special token's string stands in the text, or comes out of the tokenizer's normalising."""
        return self.which_spell_special([text])[0]

    def which_spell_special(self, texts: Sequence[str]) -> list[bool]:
        """:meth:`spells_special` of each text; a call of the tokenizer takes longer than a short text in it."""
        if not texts:
            return []
        ids = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return [
            self._control.search(text) is not None or self._count_special(own) > 0
            for text, own in zip(texts, ids, strict=True)
        ]

    def _spelled(self, chat: Sequence[Message], clean: bool) -> bool:
        """Whether a message spells a special token.

        Of a clean chat it is enough to look at the strings, which a template may have left out: any other way to one
        would have given a special token more.
        """
        if clean:
            return any(self._control.search(message.content) for message in chat)
        return any(self.which_spell_special([message.content for message in chat]))

    def encode(
        self,
        chats: Sequence[Sequence[Message]],
        prefills: Iterable[Sequence[int]] | None = None,
        *,
        open_turn: bool = True,
    ) -> list[list[int]]:
        """Token ids of each chat; with ``open_turn`` they end where the assistant begins to write."""
        ids = [own for own, _ in self._encode(chats, open_turn)]
        if prefills is None:
            return ids
        return [start + list(prefill) for start, prefill in zip(ids, prefills, strict=True)]

    def _encode(self, chats: Sequence[Sequence[Message]], open_turn: bool) -> list[tuple[list[int], bool]]:
        """Token ids of each chat, and whether template and messages together gave them."""
        if not chats:
            return []
        texts = [self._render([m.model_dump() for m in chat], open_turn) for chat in chats]
        # The template has written what stands at the beginning of a sequence; a second one would shift everything.
        joint = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        clean = [self._is_clean(chat, together, open_turn) for chat, together in zip(chats, joint, strict=True)]
        return [
            (together, True) if is_clean else (self._encode_apart(chat, open_turn), False)
            for chat, together, is_clean in zip(chats, joint, clean, strict=True)
        ]

    def longer_than(self, room: int, chats: Sequence[Sequence[Message]]) -> list[int]:
        """Which of the chats have more tokens than that, by their place. Tokenises only where there is a doubt."""
        doubtful = [i for i, chat in enumerate(chats) if self._most_tokens(chat) > room]
        ids = self.encode([chats[i] for i in doubtful])
        return [i for i, own in zip(doubtful, ids, strict=True) if len(own) > room]

    def encode_targets(self, chats: Sequence[Sequence[Message]]) -> list[Target]:
        """Each finished chat as it is trained on."""
        finished = self._encode(chats, open_turn=False)
        contexts = list(dict.fromkeys(tuple(chat[:-1]) for chat in chats))  # both sides of a pair have the same
        opened = dict(zip(contexts, self.encode(contexts), strict=True))
        return [
            Target(whole, _shared_length(whole, opened[tuple(chat[:-1])]), self._spelled(chat, clean))
            for chat, (whole, clean) in zip(chats, finished, strict=True)
        ]

    def encode_turns(self, chats: Sequence[Sequence[Message]]) -> list[Target]:
        """The same, without what the template writes after the end of a turn, which is never generated."""
        end = self.tokenizer.eos_token_id
        return [
            target._replace(ids=target.ids[: target.ids.index(end, target.start) + 1])
            if end in target.ids[target.start :]
            else target
            for target in self.encode_targets(chats)
        ]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text without special tokens."""
        return str(self.tokenizer.decode(list(token_ids), skip_special_tokens=True))

    def plain_ids(self, text: str) -> list[int]:
        """Token ids of text in which no special token can act."""
        ids: list[int] = []
        for piece in self._break_up(text):
            ids += self._harmless(piece)
        return ids

    def _harmless(self, piece: str) -> list[int]:
        ids: list[int] = self.tokenizer(piece, add_special_tokens=False)["input_ids"]
        if len(piece) == 1 or self._count_special(ids) == 0:
            return ids
        # Only after the tokenizer's own normalising does it spell a special token, such as one in full-width letters.
        middle = len(piece) // 2
        return self._harmless(piece[:middle]) + self._harmless(piece[middle:])

    def _most_tokens(self, chat: Sequence[Message]) -> float:
        """No chat has more: a token stands for a byte at least, and a piece may be given one more in front of it.

        That makes two for each byte of what the template and the turns write; templates write a turn once.
        """
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:  # what it makes of a text before it tokenises it cannot be seen
            return math.inf
        texts = [self._skeleton(chat, True), *(m.content for m in chat)]
        if backend.normalizer:
            texts = [backend.normalizer.normalize_str(text) for text in texts]
        return 2 * sum(len(text.encode()) for text in texts)

    def _render(self, messages: list[dict[str, str]], open_turn: bool) -> str:
        import jinja2

        try:
            text = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=open_turn, **self.template_kwargs
            )
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            roles = ", ".join(m["role"] for m in messages)
            raise ModelError(
                f"{self.tokenizer.name_or_path}: the model's chat template refuses the turns ({roles}): {error}"
            ) from error
        return str(text)

    def _skeleton(self, chat: Sequence[Message], open_turn: bool) -> str:
        key = (open_turn, *(m.role for m in chat))
        if key not in self._skeletons:
            marked = [{"role": m.role, "content": f"\ue000{i}\ue001"} for i, m in enumerate(chat)]
            self._skeletons[key] = self._render(marked, open_turn)
        return self._skeletons[key]

    def _is_clean(self, chat: Sequence[Message], ids: list[int], open_turn: bool) -> bool:
        key = (open_turn, *(m.role for m in chat))
        if key not in self._special_in_template:
            skeleton = self.tokenizer(self._skeleton(chat, open_turn), add_special_tokens=False)["input_ids"]
            self._special_in_template[key] = self._count_special(skeleton)
        return self._count_special(ids) == self._special_in_template[key]

    def _count_special(self, ids: list[int]) -> int:
        return sum(map(self.control_ids.__contains__, ids))

    def _encode_apart(self, chat: Sequence[Message], open_turn: bool) -> list[int]:
        ids: list[int] = []
        parts = _SLOT.split(self._skeleton(chat, open_turn))  # template, slot number, template, …, template
        for position, part in enumerate(parts):
            if position % 2:
                ids += self.plain_ids(chat[int(part)].content)
            elif part:
                ids += self.tokenizer(part, add_special_tokens=False)["input_ids"]
        return ids

    def _break_up(self, text: str) -> list[str]:
        """Pieces that add up to the text, none of which holds a whole special string."""
        pieces: list[str] = []
        while found := self._control.search(text):
            cut = found.start() + 1
            pieces.append(text[:cut])
            text = text[cut:]
        return [*pieces, text] if text else pieces


def _shared_length(first: Sequence[int], second: Sequence[int]) -> int:
    pairs = zip(first, second, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
