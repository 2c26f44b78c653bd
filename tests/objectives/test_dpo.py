from typing import Any

import pytest

from selfreward.engines.chat import Chat
from selfreward.objectives.dpo import DPOConfig
from selfreward.records import Message


def _pair(chosen: str, rejected: str) -> dict[str, Any]:
    return {
        "prompt": [{"role": "user", "content": "Name a tree."}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
    }


@pytest.mark.parametrize(("chosen", "rejected"), [("oak " * 30, "no"), ("no", "oak " * 30)])
def test_the_longer_side_decides_whether_a_pair_fits(chat: Chat, chosen: str, rejected: str) -> None:
    turns = [Message(role="user", content="Name a tree."), Message(role="assistant", content="oak " * 30)]
    longest = len(chat.encode([turns], open_turn=False)[0])
    assert DPOConfig(max_length=longest).fits(_pair(chosen, rejected), chat)
    assert not DPOConfig(max_length=longest - 1).fits(_pair(chosen, rejected), chat)
