"""Generated text -> parsed answer or `invalid`. The only reader of answers: every table and metric compares its output.

`extract(text, kind=...)` is the way in. What it gives is canonical: two answers mean the same if and only if they are
equal, and reading an answer again gives that answer. It never guesses: what names no answer, or two, is `invalid`.
"""

from vsc_eval.extract.choice import extract_choice, likeliest_option
from vsc_eval.extract.number import extract_number
from vsc_eval.extract.read import KINDS, Kind, extract
from vsc_eval.extract.short_text import extract_text
from vsc_eval.extract.text import INVALID, normalise
from vsc_eval.extract.yes_no import extract_yes_no

__all__ = [
    "INVALID",
    "KINDS",
    "Kind",
    "extract",
    "extract_choice",
    "extract_number",
    "extract_text",
    "extract_yes_no",
    "likeliest_option",
    "normalise",
]
