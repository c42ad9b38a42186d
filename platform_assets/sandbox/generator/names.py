"""Names for the generated marketplace: people, companies, logins and repositories, all made of syllables.

None is meant to be anybody's: names are random strings that can be read aloud. Mail addresses use the reserved `.test`.
"""

from __future__ import annotations

from platform_assets.sandbox.generator.dice import Dice

_ONSETS = (
    "b", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "dr", "fl", "gr", "kr", "pl", "sh", "tr", "vel", "mar", "tal", "ner", "sol",
)  # fmt: skip
_VOWELS = ("a", "a", "e", "e", "i", "i", "o", "o", "u", "ai")
_CODAS = ("", "", "", "", "l", "n", "r", "s", "m")
_FIRST_ENDINGS = ("a", "en", "o", "is", "ia", "un", "ek", "ara", "in", "ou")
_LAST_ENDINGS = (
    "ane", "ovin", "ett", "arsk", "olde", "imura", "esco", "adze", "undi", "wick", "ano", "ullah", "ers",
)  # fmt: skip
_COMPANY_ENDINGS = ("ora", "ix", "ana", "um", "eo", "ell", "ist", "yn")
_COMPANY_KINDS = (
    "Works", "Logistics", "Clinics", "Retail", "Energy", "Foods", "Mobility", "Studios", "Insurance", "Labs", "Schools",
    "Farms", "Media", "Freight", "Homes", "Travel",
)  # fmt: skip
_ACCOUNT_TAILS = ("", "", "", "", "-dev", "42", "7", "-codes", "-oss")


def _syllable(dice: Dice) -> str:
    return dice.pick(_ONSETS) + dice.pick(_VOWELS) + dice.pick(_CODAS)


def _word(dice: Dice, *, syllables_count: int) -> str:
    return "".join(_syllable(dice) for _ in range(syllables_count))


class Names:
    """A source of names in which logins and companies never repeat."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._taken: set[str] = set()

    def person(self) -> str:
        """First and last name."""
        first = _word(self._dice, syllables_count=1) + self._dice.pick(_FIRST_ENDINGS)
        last = _word(self._dice, syllables_count=self._dice.integer(1, 2)) + self._dice.pick(_LAST_ENDINGS)
        return f"{first.capitalize()} {last.capitalize()}"

    def login(self, person: str) -> str:
        """A GitHub login as somebody of this name may choose."""
        first, last = person.lower().split()
        stem = self._dice.pick((f"{first}{last}", f"{first}-{last}", f"{first[0]}{last}", last + first[:2]))
        return self._unique(stem[:30] + self._dice.pick(_ACCOUNT_TAILS))

    def company(self) -> str:
        """A company, such as `Velora Freight`; its first word alone is unique."""
        word = _word(self._dice, syllables_count=self._dice.integer(1, 2)) + self._dice.pick(_COMPANY_ENDINGS)
        return f"{self._unique(word).capitalize()} {self._dice.pick(_COMPANY_KINDS)}"

    def _unique(self, name: str) -> str:
        candidate, number = name, 1
        while candidate in self._taken:
            number += 1
            candidate = f"{name}{number}"
        self._taken.add(candidate)
        return candidate


def slug(name: str) -> str:
    """The name as part of a host name or a login: `Velora Freight` is `velora-freight`."""
    return name.lower().replace(" ", "-")
