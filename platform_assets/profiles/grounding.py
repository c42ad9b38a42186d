"""What a model's answer is worth: only skills that its quotes really support. Pure but for the embedder.

An answer is data. A text may hold instructions to the model, and a model may obey them or make things up; so nothing
of an answer is believed that the text itself does not bear out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass

from platform_assets.clients.gemini import NamedSkill
from platform_assets.profiles.extraction import (
    Requirement,
    SkillIndex,
    TextEmbedder,
    label_text,
    sentence_windows,
)
from platform_assets.profiles.mentions import find_mentions
from platform_assets.profiles.vocabulary import Vocabulary
from platform_assets.spelling import Word, normalize_alias, split_words

EXTRACTOR = "gemini"

MAX_QUOTE_WORDS = 40
"""A longer quote is no evidence for one skill: the whole text would support anything."""

MIN_SUPPORT = 0.4
"""A concept that its quote does not spell needs a piece of the quote that resembles it so much (cosine). Words that have
nothing to do with a concept stay below 0.3. Less than `extraction.MIN_SIMILARITY`, because here the model has pointed to
the words as well."""


@dataclass(frozen=True)
class Grounded:
    """What is left of an answer.

    Attributes:
        requirements: Skills that the text supports, most important first.
        rejected_count: Skills of the answer that were left out: unknown, not quoted from the text, or not supported
            by their quote.
    """

    requirements: tuple[Requirement, ...]
    rejected_count: int


@dataclass(frozen=True)
class _Claim:
    """A known skill with a quote that stands in the text; `is_spelled` when the quote spells it."""

    skill_id: str
    evidence: str
    is_spelled: bool


def ground_answers(
    texts: Sequence[str],
    answers: Sequence[Sequence[NamedSkill]],
    vocabulary: Vocabulary,
    index: SkillIndex,
    embedder: TextEmbedder,
) -> list[Grounded]:
    """Keep of each answer what its text bears out.

    A skill is kept when the vocabulary knows it, its quote stands in the text word by word, and the quote either
    spells it or, for concepts alone, has a piece that resembles it. Named products must be spelled: no word that
    resembles the name of a product means that product.

    Args:
        texts: The texts as they were sent.
        answers: What the model named, for each text.
        vocabulary: Spellings.
        index: Skills by id with vectors.
        embedder: Embeds the pieces of quotes that do not spell their skill.
    """
    mentions = [Counter(mention.skill_id for mention in find_mentions(text, vocabulary)) for text in texts]
    claims = [_claims(*each, vocabulary) for each in zip(texts, answers, mentions)]
    windows = {
        claim.evidence: sentence_windows(claim.evidence)
        for own in claims
        for claim in own
        if not claim.is_spelled
    }
    rows = {text: i for i, text in enumerate(dict.fromkeys(w for own in windows.values() for w in own))}
    vectors = embedder.encode(list(rows)) if rows else None
    position = {key: i for i, key in enumerate(index.keys)}

    def similarity(claim: _Claim) -> float:
        pieces = [rows[window] for window in windows[claim.evidence]]
        if vectors is None or not pieces or claim.skill_id not in position:
            return 0.0
        return float((vectors[pieces] @ index.vectors[position[claim.skill_id]]).max())

    results = []
    for named, own, spelled_counts in zip(answers, claims, mentions):
        found: dict[str, Requirement] = {}
        # What is spelled goes first: the better evidence for a skill that is named twice.
        for claim in sorted(own, key=lambda claim: not claim.is_spelled):
            if claim.skill_id in found:
                continue
            support = 1.0 if claim.is_spelled else similarity(claim)
            if support < MIN_SUPPORT:
                continue
            weight = 1 - 0.5 ** max(1, spelled_counts[claim.skill_id]) if claim.is_spelled else 0.5 * support
            found[claim.skill_id] = Requirement(claim.skill_id, weight, EXTRACTOR, claim.evidence)
        kept = sorted(found.values(), key=lambda each: (-each.weight, each.skill_id))
        named_count = len({normalize_alias(skill.name) for skill in named})
        results.append(Grounded(tuple(kept), max(0, named_count - len(kept))))
    return results


def _claims(
    text: str, named: Sequence[NamedSkill], mentioned: Container[str], vocabulary: Vocabulary
) -> list[_Claim]:
    quotes = _QuoteFinder(text)
    claims = []
    for skill in named:
        skill_id = vocabulary.resolve(skill.name) or vocabulary.resolve(label_text(skill.name))
        quoted = quotes.find(skill.quote)
        if skill_id is None or not quoted:
            continue
        spelling = _spelling(quoted, skill_id, vocabulary)
        if spelling in vocabulary.ambiguous and skill_id not in mentioned:
            continue  # "we go live" does not ask for Go, whatever the model says
        own = vocabulary.by_id[skill_id]
        is_named = own.kind != "concept" or normalize_alias(own.name) in own.ambiguous
        if spelling is None and is_named:
            continue
        claims.append(_Claim(skill_id, quotes.written(quoted), spelling is not None))
    return claims


class _QuoteFinder:
    """Finds quotes in a text by their words: case, spacing and signs between words do not matter."""

    def __init__(self, text: str) -> None:
        self._words = split_words(text)
        self._joined = f" {' '.join(word.norm for word in self._words)} "

    def find(self, quote: str) -> list[Word]:
        """The words of the text that the quote repeats, at their first place; empty when it does not."""
        needle = normalize_alias(quote)
        words_count = needle.count(" ") + 1
        start = self._joined.find(f" {needle} ") if needle else -1
        if start < 0 or words_count > MAX_QUOTE_WORDS:
            return []
        first = self._joined.count(" ", 0, start)
        return self._words[first : first + words_count]

    def written(self, words: Sequence[Word]) -> str:
        """The words as the text has them, signs between them left out."""
        return " ".join(word.written for word in words)


def _spelling(words: Sequence[Word], skill_id: str, vocabulary: Vocabulary) -> str | None:
    """A spelling of the skill among consecutive words, one that is no everyday word where there is a choice."""
    norms = [word.norm for word in words]
    spellings = {
        spelling
        for first in range(len(norms))
        for last in range(first, min(first + vocabulary.max_alias_words, len(norms)))
        if vocabulary.by_alias.get(spelling := " ".join(norms[first : last + 1])) == skill_id
    }
    return min(spellings, key=lambda spelling: (spelling in vocabulary.ambiguous, spelling), default=None)
