"""Texts → skills: how strongly a sentence speaks of each skill, and the skills that a text asks for.

Spellings are matched exactly, meaning by embeddings; both are combined here. The embedder is passed in, vectors of
skills come from the caller, and nothing is read or kept here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from platform_assets.profiles.label_projection import toward_labels
from platform_assets.profiles.lexicon import Lexicon
from platform_assets.profiles.mentions import Mention, find_mentions
from platform_assets.profiles.vocabulary import Vocabulary
from platform_assets.spelling import normalize_alias

Floats = npt.NDArray[np.float32]

# Chosen together on the validation sentences of two job-ad data sets; with half of either weight, a softness of 0.08
# or 7 words the mean of MRR and RP@5 over both changes by at most 0.02, which is less than their sampling error.
MAX_WINDOW_WORDS = 5
SOFTNESS = 0.1
"""Temperature of the soft maximum over a sentence's windows, in units of cosine similarity."""

SENTENCE_WEIGHT = 0.4
"""What the similarity of the whole sentence adds."""

COVERAGE_WEIGHT = 0.2
"""What a name adds all of whose words the sentence contains."""

MIN_SIMILARITY = 0.8
"""A skill that is nowhere spelled counts as asked for from this cosine similarity of a window on."""

MAX_EMBEDDED_SKILLS = 8
"""Most skills that a text gets by meaning alone; further ones are ever less likely."""

MAX_SENTENCE_WORDS = 60
MAX_SENTENCES = 60
"""Sentences of a text that are read for meaning: what a project needs stands near the top, and a README of a
megabyte would take minutes."""

_SENTENCES_PER_BLOCK = 512

_DISAMBIGUATION = re.compile(r"\s*\([^()]*\)\s*$")
_PLACEHOLDER = re.compile(r"<[A-Z_]+>")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)|[\r\n]+|\s[•·▪*]\s")
# What parts two phrases of a sentence.
_PHRASE_END = re.compile(r"[;:,()\[\]{}<>|•·*!?\"“”\n]|[./](?=\s|$)|\s[-–—]+\s")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")

# A window begins and ends with a word of meaning: "experience with" says nothing that "experience" does not.
_FUNCTION_WORDS = frozenset(
    """
    a about also an and any are as at be been both but by can could did do does e.g each etc for from
    had has have he how i i.e if in include includes including into is it its may more most must no not
    of on or other our per she should so such than that the their them then these they this those
    through to us using very was we well were what when where which who will with within would you your
    """.split()  # noqa: SIM905  (a paragraph of words reads better than a column of them)
)


class TextEmbedder(Protocol):
    """What turns texts into unit vectors; see `clients.embedder.Embedder`."""

    def encode(self, texts: Sequence[str]) -> Floats:
        """Unit vectors of the texts, one row each."""
        ...


@dataclass(frozen=True)
class SkillIndex:
    """Skills prepared for scoring.

    Attributes:
        keys: What names each skill: its id, or its label.
        vectors: Unit vectors of `label_text` of the names, shape (skills, dimensions).
        lexicon: Words of the names.
    """

    keys: tuple[str, ...]
    vectors: Floats
    lexicon: Lexicon


@dataclass(frozen=True)
class Rankings:
    """The best skills of each sentence, best first: positions in the list of skills and scores, one row each."""

    positions: npt.NDArray[np.int64]
    scores: Floats


@dataclass(frozen=True, slots=True)
class Requirement:
    """A skill that a text asks for.

    Attributes:
        skill_id: The skill.
        weight: Importance from 0 to 1. Spelled n times: 1 − 0.5ⁿ. Only meant: how far the similarity lies
            between `MIN_SIMILARITY` and 1, at most 0.5.
        extractor: `alias` (spelled in the text) or `embedding` (meant by the text).
        evidence: The words of the text that support it.
    """

    skill_id: str
    weight: float
    extractor: str
    evidence: str


def label_text(label: str) -> str:
    """The part of a label that texts use: `Java (computer programming)` → `Java`."""
    return _DISAMBIGUATION.sub("", label) or label


def index_skills(keys: Sequence[str], names: Sequence[str], vectors: Floats) -> SkillIndex:
    """Prepare skills for scoring.

    Args:
        keys: What names each skill in results.
        names: Their names, in the same order.
        vectors: Unit vectors of `label_text` of each name, in the same order.
    """
    if not len(keys) == len(names) == len(vectors):
        raise ValueError(
            f"{len(keys)} keys, {len(names)} names and {len(vectors)} vectors do not belong together"
        )
    return SkillIndex(tuple(keys), vectors, Lexicon.of([label_text(name) for name in names]))


def sentence_windows(sentence: str) -> list[str]:
    """The distinct pieces of a sentence that are compared with skills; the whole sentence is the last one.

    A piece is 1 to `MAX_WINDOW_WORDS` consecutive words of one phrase that begin and end with a word of meaning.
    Empty when the sentence has no words.
    """
    phrases = _phrases(sentence)
    if not phrases:
        return []
    whole = " ".join(word for phrase in phrases for word in phrase)
    pieces: dict[str, None] = {}
    for phrase in phrases:
        has_meaning = [word.casefold() not in _FUNCTION_WORDS for word in phrase]
        for start in range(len(phrase)):
            for end in range(start + 1, min(start + MAX_WINDOW_WORDS, len(phrase)) + 1):
                if has_meaning[start] and has_meaning[end - 1]:
                    pieces[" ".join(phrase[start:end])] = None
    pieces.pop(whole, None)
    return [*pieces, whole]


def _phrases(sentence: str) -> list[list[str]]:
    """The words of each phrase; a hyphen or slash inside a word (`front-end`, `CI/CD`) does not part it."""
    phrases = [
        [word for word in phrase.split() if _LETTER_OR_DIGIT.search(word)]
        for phrase in _PHRASE_END.split(_PLACEHOLDER.sub(" ", sentence))
    ]
    return [phrase for phrase in phrases if phrase]


def score_sentences(sentences: Sequence[str], index: SkillIndex, embedder: TextEmbedder) -> Iterator[Floats]:
    """How strongly each sentence speaks of each skill.

    The similarity of a window and a skill is the mean of two cosines, see `label_projection`. A score is the soft maximum
    (`SOFTNESS` · log Σ exp(similarity / `SOFTNESS`)) over the sentence's windows, so that several windows that point to a skill count for more than one, plus `SENTENCE_WEIGHT` times the similarity of the
    whole sentence, plus `COVERAGE_WEIGHT` times the share of the name's words that the sentence contains. Scores
    rank the skills of one sentence; they do not compare sentences of different length.

    Yields:
        One row per sentence in the given order, float32, shape (skills,); a sentence without words has all zeros.
    """
    for start in range(0, len(sentences), _SENTENCES_PER_BLOCK):
        block = sentences[start : start + _SENTENCES_PER_BLOCK]
        windows = [sentence_windows(sentence) for sentence in block]
        rows = {text: i for i, text in enumerate(dict.fromkeys(w for own in windows for w in own))}
        vectors = toward_labels(embedder.encode(list(rows)))
        for sentence, own in zip(block, windows):
            if not own:
                yield np.zeros(len(index.keys), dtype=np.float32)
                continue
            similarity = vectors[[rows[text] for text in own]] @ index.vectors.T
            score = SENTENCE_WEIGHT * similarity[-1]
            score += COVERAGE_WEIGHT * index.lexicon.coverage(sentence)
            np.exp((similarity - 1) / SOFTNESS, out=similarity)
            score += SOFTNESS * np.log(similarity.sum(axis=0))
            yield score


def rank_skills(
    sentences: Sequence[str],
    labels: Sequence[str],
    label_vectors: Floats,
    embedder: TextEmbedder,
    *,
    top: int = 100,
) -> Rankings:
    """The skills that each sentence speaks of most strongly, ties by position.

    Args:
        sentences: Sentences.
        labels: Names of the skills to rank.
        label_vectors: Unit vectors of `label_text` of each label.
        embedder: Embeds the windows of the sentences.
        top: Number of skills to return for each sentence, at most all of them.
    """
    index = index_skills(labels, labels, label_vectors)
    top = min(top, len(labels))
    positions = np.empty((len(sentences), top), dtype=np.int64)
    scores = np.empty((len(sentences), top), dtype=np.float32)
    for row, score in enumerate(score_sentences(sentences, index, embedder)):
        best = _best(score, top)
        positions[row], scores[row] = best, score[best]
    return Rankings(positions, scores)


def _best(score: Floats, top: int) -> npt.NDArray[np.int64]:
    """Positions of the highest scores, best first, ties by position."""
    if top == 0:
        return np.empty(0, dtype=np.int64)
    limit = np.partition(score, len(score) - top)[len(score) - top]
    candidates = np.flatnonzero(score >= limit)
    order = np.argsort(-score[candidates], kind="stable")[:top]
    return candidates[order].astype(np.int64)


def split_sentences(text: str) -> list[str]:
    """Cut a text into sentences at full stops, line ends and bullets; one of many words is cut on."""
    sentences: list[str] = []
    for piece in _SENTENCE_END.split(text):
        words = piece.split()
        starts = range(0, len(words), MAX_SENTENCE_WORDS)
        sentences.extend(" ".join(words[start : start + MAX_SENTENCE_WORDS]) for start in starts)
    return sentences


def extract_requirements(
    texts: Sequence[str],
    vocabulary: Vocabulary,
    index: SkillIndex,
    embedder: TextEmbedder,
    *,
    meant_sentences: int = MAX_SENTENCES,
) -> list[list[Requirement]]:
    """The skills that each text asks for, most important first.

    What is spelled is found in the whole text. What is only meant is looked for in the first `meant_sentences`
    sentences, and only among concepts whose name is no everyday word: "stored procedures" may mean database design,
    but no word that resembles the name of a product means that product ("fast" is not Fastly).

    Args:
        texts: Texts; many at once are faster, since equal windows are embedded once.
        vocabulary: Spellings.
        index: Skills by id with vectors; those without a vector are found by spelling alone.
        embedder: Embeds the windows of the texts.
        meant_sentences: Sentences of a text that are read for meaning.
    """
    windows = [_short_windows(text, meant_sentences) for text in texts]
    rows = {text: i for i, text in enumerate(dict.fromkeys(w for own in windows for w in own))}
    vectors = embedder.encode(list(rows))
    named = {
        skill.skill_id
        for skill in vocabulary.skills
        if skill.kind != "concept" or normalize_alias(skill.name) in skill.ambiguous
    }
    results = []
    for text, own in zip(texts, windows):
        spelled = _spelled(find_mentions(text, vocabulary))
        found = {requirement.skill_id for requirement in spelled} | named
        meant = _meant(own, vectors[[rows[w] for w in own]], index, found) if own else []
        results.append(sorted([*spelled, *meant], key=lambda r: (-r.weight, r.skill_id)))
    return results


def _short_windows(text: str, sentences_count: int) -> list[str]:
    return list(
        dict.fromkeys(
            window
            for sentence in split_sentences(text)[:sentences_count]
            for window in sentence_windows(sentence)
            if window.count(" ") < MAX_WINDOW_WORDS
        )
    )


def _spelled(mentions: Sequence[Mention]) -> list[Requirement]:
    by_skill: dict[str, list[Mention]] = {}
    for mention in mentions:
        by_skill.setdefault(mention.skill_id, []).append(mention)
    return [
        Requirement(skill_id, 1 - 0.5 ** len(own), "alias", own[0].written)
        for skill_id, own in by_skill.items()
    ]


def _meant(windows: Sequence[str], vectors: Floats, index: SkillIndex, found: set[str]) -> list[Requirement]:
    similarity = vectors @ index.vectors.T
    nearest = similarity.argmax(axis=0)
    best = similarity.max(axis=0)
    candidates = [
        Requirement(
            index.keys[i],
            float(min(0.5, 0.5 * (best[i] - MIN_SIMILARITY) / (1 - MIN_SIMILARITY))),
            "embedding",
            windows[nearest[i]],
        )
        for i in np.flatnonzero(best > MIN_SIMILARITY)
        if index.keys[i] not in found
    ]
    return sorted(candidates, key=lambda r: (-r.weight, r.skill_id))[:MAX_EMBEDDED_SKILLS]
