"""The formats that ``seeds import`` knows, one a file. To add one: its file, and its place in ``FORMATS``."""

from selfreward.seeding.formats.alpaca import ALPACA
from selfreward.seeding.formats.base import Format
from selfreward.seeding.formats.distilabel import DISTILABEL
from selfreward.seeding.formats.judged import JUDGED
from selfreward.seeding.formats.messages import MESSAGES
from selfreward.seeding.formats.oasst import OASST
from selfreward.seeding.formats.oasst_trees import OASST_TREES
from selfreward.seeding.formats.own import OWN_EFT, OWN_IFT
from selfreward.seeding.formats.preference import PREFERENCE
from selfreward.seeding.formats.prompt_completion import PROMPT_COMPLETION
from selfreward.seeding.formats.ranked_rows import RANKED
from selfreward.seeding.formats.self_instruct import SELF_INSTRUCT
from selfreward.seeding.formats.sharegpt import SHAREGPT
from selfreward.seeding.formats.ultrafeedback import ULTRAFEEDBACK

FORMATS: tuple[Format, ...] = (
    OWN_EFT,
    OWN_IFT,
    OASST,
    OASST_TREES,
    ULTRAFEEDBACK,
    PREFERENCE,
    DISTILABEL,
    JUDGED,
    RANKED,
    SELF_INSTRUCT,
    SHAREGPT,
    MESSAGES,
    ALPACA,
    PROMPT_COMPLETION,
)
"""The first one that fits is taken: what asks for more columns comes first."""
