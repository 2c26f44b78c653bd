"""Keeping what a model that thinks aloud wrote before its answer apart from the answer."""


def split_reasoning(text: str, tags: tuple[str, str]) -> tuple[str | None, str]:
    """(reasoning, answer). Some chat templates write the opening tag themselves, so the closing one decides.

    Text that opens its reasoning and never closes it is all reasoning, with an empty answer.
    """
    opening, closing = tags
    before, closed, after = text.rpartition(closing)
    if closed:
        return before.strip().removeprefix(opening).strip(), after.strip()
    if text.lstrip().startswith(opening):
        return text.strip().removeprefix(opening).strip(), ""
    return None, text.strip()
