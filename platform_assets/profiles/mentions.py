"""Skills that a text spells: longest match of whole words, with care for spellings that are also everyday words."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from platform_assets.profiles.vocabulary import Vocabulary
from platform_assets.spelling import Word, split_words

CONTEXT_WORDS = 8
"""How near, in words, something technical must stand to an ambiguous spelling."""

# Words that make a neighbour technical: "Go developer", "written in Rust", "Spring backend".
_CUES = frozenset(
    """
    api apis app application applications apps backend code codebase codebases coded coding compiler
    component components crate crates database databases developer developers development engine
    engineer engineering engineers framework frameworks frontend language languages libraries library
    microservice microservices module modules package packages plugin plugins programmer programmers
    programming queries query repositories repository runtime script scripts sdk server servers software
    stack test tests toolchain tooling written
    """.split()  # noqa: SIM905  (a paragraph of words reads better than a column of them)
)
_LIST_SIGNS = frozenset(",/|+&;•·")
_LIST_WORDS = frozenset(("and", "or"))
_SENTENCE_SIGNS = frozenset(".!?:;\n\r")
# Between the words of one spelling: `ci/cd`, `react-native`, `type_script`.
_INNER_SIGNS = frozenset(" \t\u00a0-‐‑–/_&")


@dataclass(frozen=True, slots=True)
class Mention:
    """A spelling of a skill in a text.

    Attributes:
        skill_id: The skill.
        written: The words as the text has them.
        first: Position of its first word in the text.
        last: Position of its last word in the text.
        is_ambiguous: Whether the spelling is also an everyday word.
    """

    skill_id: str
    written: str
    first: int
    last: int
    is_ambiguous: bool


def find_mentions(text: str, vocabulary: Vocabulary) -> list[Mention]:
    """The skills that a text spells, in the order of the text.

    A spelling that is also an everyday word (`go`, `spring`) counts only when something technical stands within
    `CONTEXT_WORDS` words, and it is itself written as a name (with a capital inside a sentence), stands in a list
    with another technical word, or stands beside a word such as "developer". One letter must be a capital.
    """
    text = unicodedata.normalize("NFKC", text)
    words = split_words(text)
    gaps = [text[a.end : b.start] for a, b in pairwise(words)]
    candidates = _longest_matches(text, words, gaps, vocabulary)
    technical = {i for m in candidates if not m.is_ambiguous for i in range(m.first, m.last + 1)}
    technical |= {i for i, word in enumerate(words) if word.norm in _CUES}
    return [m for m in candidates if not m.is_ambiguous or _is_meant(m, words, gaps, technical)]


def _longest_matches(
    text: str, words: Sequence[Word], gaps: Sequence[str], vocabulary: Vocabulary
) -> list[Mention]:
    matches = []
    position = 0
    while position < len(words):
        longest = None
        spelling = ""
        for last in range(position, min(position + vocabulary.max_alias_words, len(words))):
            if last > position and not _INNER_SIGNS.issuperset(gaps[last - 1]):
                break
            spelling = f"{spelling} {words[last].norm}".lstrip()
            skill_id = vocabulary.by_alias.get(spelling)
            if skill_id is not None:
                written = text[words[position].start : words[last].end]
                longest = Mention(skill_id, written, position, last, spelling in vocabulary.ambiguous)
        if longest is None:
            position += 1
        else:
            matches.append(longest)
            position = longest.last + 1
    return matches


def _is_meant(mention: Mention, words: Sequence[Word], gaps: Sequence[str], technical: set[int]) -> bool:
    first, last = mention.first, mention.last
    if len(words[first].norm) == 1 and first == last and not mention.written.isupper():
        return False
    near = range(first - CONTEXT_WORDS, last + CONTEXT_WORDS + 1)
    if technical.isdisjoint(near):
        return False
    if _stands_in_list(first, last, words, gaps, technical):
        return True
    beside = {i for i in (first - 1, last + 1) if 0 <= i < len(words)}
    if any(i in technical and words[i].norm in _CUES for i in beside):
        return True
    starts_sentence = first == 0 or not _SENTENCE_SIGNS.isdisjoint(gaps[first - 1])
    return mention.written[0].isupper() and not starts_sentence


def _stands_in_list(
    first: int, last: int, words: Sequence[Word], gaps: Sequence[str], technical: set[int]
) -> bool:
    """Whether a comma, slash, `and` or `or` is all that parts it from something technical."""
    for edge, step in ((first, -1), (last, 1)):
        neighbour = edge + step
        signs = _gap(gaps, edge, neighbour)
        if 0 <= neighbour < len(words) and words[neighbour].norm in _LIST_WORDS:
            signs += "," + _gap(gaps, neighbour, neighbour + step)
            neighbour += step
        if (
            neighbour in technical
            and words[neighbour].norm not in _CUES
            and not _LIST_SIGNS.isdisjoint(signs)
        ):
            return True
    return False


def _gap(gaps: Sequence[str], a: int, b: int) -> str:
    position = min(a, b)
    return gaps[position] if 0 <= position < len(gaps) else ""
