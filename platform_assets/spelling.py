"""How technical names are spelled: what a word is, and the form in which spellings are compared. Pure.

Which skill a spelling stands for is the vocabulary's business.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# A word keeps what tells names apart: the leading dot of `.net`, inner dots (`node.js`), `c++`, `c#`.
_WORD = re.compile(
    r"(?:(?<![^\W_])(?<!\.)\.(?=[^\W\d_]))?[^\W_]+(?:\.[^\W_]+)*(?:\+\+|\#(?![^\W_]))?",
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text: its normalized form, its written form, and where it stands in the NFKC form of the text."""

    norm: str
    written: str
    start: int
    end: int


def split_words(text: str) -> list[Word]:
    """Cut a text into normalized words; `.net`, `c++`, `c#` and `node.js` are one word each, a hyphen parts two."""
    text = unicodedata.normalize("NFKC", text)
    return [
        Word(_fold(match.group()), match.group(), match.start(), match.end())
        for match in _WORD.finditer(text)
    ]


def normalize_alias(text: str) -> str:
    """The form in which spellings are compared: words of letters and digits, folded case, one space between.

    `React.JS` → `react.js`, `CI/CD` → `ci cd`, ` C++ ` → `c++`. Empty when nothing but signs is left.
    """
    return " ".join(word.norm for word in split_words(text))


def _fold(word: str) -> str:
    return unicodedata.normalize("NFKC", word.casefold())
