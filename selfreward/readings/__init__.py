"""How a verdict is read from a judge's words: a new form is a file here and a member of the union below.

What cannot be read is None, never a number; what is doubtful is not read.
"""

from typing import Annotated

from pydantic import Field

from selfreward.readings.json_field import JsonVerdict
from selfreward.readings.letter import LetterVerdict
from selfreward.readings.line import LineVerdict

Verdict = Annotated[LineVerdict | JsonVerdict | LetterVerdict, Field(discriminator="type")]
