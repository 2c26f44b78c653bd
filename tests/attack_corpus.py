"""The corpus of attacks, read: tests/attacks/corpus.yaml."""

from pathlib import Path
from typing import Any, NamedTuple

import yaml


class Attack(NamedTuple):
    """One way of trying to steer the judge; ``text`` has ``{clean}`` where an honest answer goes."""

    kind: str
    text: str

    def on(self, clean: str) -> str:
        """The attack around an honest answer."""
        return self.text.replace("{clean}", clean) if "{clean}" in self.text else f"{self.text}\n{clean}"


def read_attacks() -> list[Attack]:
    """All of corpus.yaml, in order."""
    path = Path(__file__).parent / "attacks" / "corpus.yaml"
    corpus: dict[str, list[Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [Attack(kind, _text(one)) for kind, ones in corpus.items() for one in ones]


def _text(one: Any) -> str:
    return one if isinstance(one, str) else f"{{clean}}\n{one['text'] * one['repeat']}{one['end']}"
