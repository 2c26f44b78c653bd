"""Self-Instruct's seed tasks: an instruction with instances of input and output, each of which is an example."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from selfreward.seeding.formats.base import Format, Part, Row, each
from selfreward.seeding.formats.turns import Turn, ift_row, is_chat, user, with_input
from selfreward.seeding.formats.values import has, objects, optional_text, text


def _ift(row: Row) -> Iterator[Part]:
    instruction = text(row.get("instruction"), '"instruction"')
    for i, instance in enumerate(objects(row.get("instances"), '"instances"'), 1):
        yield partial(_instance, instruction, instance, f'"instances": entry {i}')


def _instance(instruction: str, instance: Mapping[str, Any], where: str) -> Row:
    prompt = with_input(instruction, optional_text(instance.get("input"), f'{where}: "input"'))
    return ift_row((*user(prompt), Turn("assistant", text(instance.get("output"), f'{where}: "output"'))), where)


SELF_INSTRUCT = Format(
    name="self_instruct",
    about="Self-Instruct seed tasks: instruction, instances, a list of {input, output}",
    columns=frozenset({"instruction", "instances"}),
    fits=lambda row: has(row, "instruction") and is_chat(row.get("instances"), "output"),
    converters={"ift": each(_ift)},
)
