"""`platform-assets match`: developers for a text that nobody has posted. Joins what profiles and matching know of it.

Reading texts is `profiles`, searching and scoring are `matching`; here they meet, and the answer is shown.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import click
import numpy as np
import sqlalchemy as sa
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from platform_assets.clients.database import Database
from platform_assets.clients.embedder import Embedder
from platform_assets.currencies import exponent, format_minor, is_currency
from platform_assets.errors import PlatformError
from platform_assets.settings import Settings

EXIT_NOBODY = 1

SHORTLIST_FACTOR = 10
"""Developers whom the search by meaning hands to the full score, per wanted one."""

MAX_TITLE_CHARACTERS = 100
REASONS_SHOWN = 3
MAX_RATE_MINOR = 2**53


class AdHocMatchError(PlatformError):
    """What was asked for can't be searched: no text, an unknown currency, or no developers to search in yet."""


@dataclass(frozen=True)
class Rate:
    """The highest hourly rate, in minor units of its currency."""

    max_hourly_rate_minor: int
    currency: str


@dataclass(frozen=True)
class Found:
    """A developer who was found.

    Attributes:
        place: Place from 1.
        developer_id: The developer.
        display_name: Their name; None when unknown.
        score: The full score, which is the sum of the reasons.
        reasons: Each term's part of the score; None where an input is missing.
        similarity: Cosine of the text with the nearest side of their work.
        nearest: That side: a repository, or `profile`.
        hourly_rate_minor: Asked rate in minor units of `currency`; None when not stated.
        currency: Its currency; None when there is none.
    """

    place: int
    developer_id: str
    display_name: str | None
    score: float
    reasons: Mapping[str, float | None]
    similarity: float
    nearest: str
    hourly_rate_minor: int | None
    currency: str | None


@dataclass(frozen=True)
class TextMatch:
    """The answer to a text.

    Attributes:
        skills: Skills that the text asks for, by name, with their weights from 0 to 1.
        developers: The best, best first.
        why_nobody: What keeps everybody out; None when somebody was found.
    """

    skills: Mapping[str, float]
    developers: tuple[Found, ...]
    why_nobody: str | None = None


def parse_rate(max_rate: str | None, currency: str | None) -> Rate | None:
    """The highest rate as a person types it, `80` or `80.50`, in whole units of a currency; None without one.

    Raises:
        AdHocMatchError: One of the two is missing, or they mean nothing.
    """
    if max_rate is None and currency is None:
        return None
    if max_rate is None or currency is None:
        raise AdHocMatchError(
            "A rate needs a currency and a currency a rate: give both, as in --max-rate 80 --currency EUR"
        )
    code = currency.strip().upper()
    if not is_currency(code):
        raise AdHocMatchError(f"{currency!r} is no currency: give an ISO 4217 code such as EUR, USD or JPY")
    try:
        minor = Decimal(max_rate) * 10 ** exponent(code)
    except InvalidOperation:
        minor = Decimal("NaN")
    if not minor.is_finite() or not 0 <= minor <= MAX_RATE_MINOR or minor != int(minor):
        raise AdHocMatchError(
            f"{max_rate!r} is no hourly rate in {code}: give a number from 0 with at most {exponent(code)} decimals"
        )
    return Rate(int(minor), code)


def run_match(
    settings: Settings, text: str, *, limit: int, max_rate: str | None, currency: str | None, as_json: bool
) -> int:
    """Find developers for a text and print them.

    Args:
        settings: The settings.
        text: What is to be done, in a client's words.
        limit: How many are wanted at most.
        max_rate: Highest hourly rate as typed; None when open.
        currency: Its currency.
        as_json: One JSON object instead of a table.

    Returns:
        Exit status: 1 when nobody was found, else 0.
    """
    from platform_assets.resources import open_database, open_embedder

    rate = parse_rate(max_rate, currency)
    if not text.strip():
        raise AdHocMatchError("There is no text: say in a sentence or more what is to be done, and with what")
    with (
        Console(stderr=True).status("Reading the text and searching …"),
        open_database(settings) as database,
    ):
        answer = match_text(database, open_embedder(), text, limit=limit, rate=rate, as_of=settings.as_of_day)
    if as_json:
        click.echo(json.dumps(asdict(answer), ensure_ascii=False, allow_nan=False))
    else:
        _print(answer, Console(soft_wrap=True))
    return 0 if answer.developers else EXIT_NOBODY


def match_text(
    database: Database, embedder: Embedder, text: str, *, limit: int, rate: Rate | None, as_of: dt.date
) -> TextMatch:
    """The best developers for a text under the score's full terms, of those nearest to it by meaning.

    Args:
        database: The platform's database.
        embedder: Embeds the text.
        text: What is to be done; its first line counts as title.
        limit: How many are wanted at most.
        rate: Highest rate.
        as_of: Day from which they must be free, and for which scores hold.

    Raises:
        AdHocMatchError: The text has no words, or there are no developers' vectors of this model yet.
    """
    from platform_assets.matching.pair_scores import Draft, score_draft
    from platform_assets.matching.search import SearchFilters, latest_start, search_developers
    from platform_assets.matching.tuning import current_weights
    from platform_assets.profiles.vectors import project_text

    title, _, description = text.strip().partition("\n")
    if len(title) > MAX_TITLE_CHARACTERS:
        title, description = (
            title[:MAX_TITLE_CHARACTERS].rpartition(" ")[0] or title[:MAX_TITLE_CHARACTERS],
            text,
        )
    embedded = project_text(title, description)
    if not any(character.isalnum() for character in embedded):
        raise AdHocMatchError(
            "The text has no words: say in a sentence or more what is to be done, and with what"
        )
    _require_vectors(database, embedder.model_name)
    skills = _read_skills(database, embedder, text)
    [vector] = embedder.encode([embedded])
    filters = SearchFilters(
        available_by=latest_start(None, as_of),
        max_hourly_rate_minor=rate.max_hourly_rate_minor if rate else None,
        currency=rate.currency if rate else None,
    )
    near = search_developers(database, vector, filters, limit=limit * SHORTLIST_FACTOR)
    names = {skill_id: name for skill_id, (name, _) in skills.items()}
    weights = {skill_id: weight for skill_id, (_, weight) in skills.items()}
    named = {names[skill_id]: round(weight, 3) for skill_id, weight in weights.items()}
    if near.empty:
        return TextMatch(named, (), _why_nobody(database, filters.available_by, rate))
    draft = Draft(title, vector, weights, filters.max_hourly_rate_minor, filters.currency)
    scored = score_draft(
        database, draft, near["developer_id"].tolist(), as_of=as_of, weights=current_weights(database, as_of)
    )
    nearest = {
        developer_id: {"similarity": round(similarity, 4), "nearest": facet}
        for developer_id, similarity, facet in zip(
            near["developer_id"], near["similarity"].tolist(), near["facet"]
        )
    }
    rows = _read_people(database, list(scored.developer_ids))
    order = np.lexsort((np.array(scored.developer_ids), -scored.scores.totals))[:limit]
    return TextMatch(
        named,
        tuple(
            Found(
                place=place,
                developer_id=developer_id,
                score=round(sum(value or 0.0 for value in reasons.values()), 6),
                reasons=reasons,
                **nearest[developer_id],
                **rows[developer_id],
            )
            for place, (developer_id, reasons) in enumerate(
                ((scored.developer_ids[row], scored.scores.reasons(int(row))) for row in order), start=1
            )
        ),
    )


def _require_vectors(database: Database, model: str) -> None:
    with database.transaction() as connection:
        known = connection.scalar(
            sa.text("SELECT EXISTS (SELECT FROM platform.developer_vectors WHERE model = :model)"),
            {"model": model},
        )
    if not known:
        raise AdHocMatchError(
            f"There are no developers' vectors of {model} to search in: `platform-assets run` makes them"
        )


def _read_skills(database: Database, embedder: Embedder, text: str) -> dict[str, tuple[str, float]]:
    """Skill id → name and weight, of what a text asks for."""
    from platform_assets.profiles.extraction import extract_requirements, index_skills
    from platform_assets.profiles.vocabulary import vocabulary_from_frames
    from platform_assets.tables import platform as tables

    vocabulary = vocabulary_from_frames(
        database.read(sa.select(tables.skills).order_by(tables.skills.c.skill_id)),
        database.read(sa.select(tables.skill_aliases).order_by(tables.skill_aliases.c.alias)),
    )
    table = tables.skill_embeddings
    ids, vectors = database.read_vectors(
        sa.select(table.c.skill_id, table.c.vector)
        .where(table.c.model == embedder.model_name)
        .order_by(table.c.skill_id)
    )
    known = [row for row, skill_id in enumerate(ids) if skill_id in vocabulary.by_id]
    if not known:
        return {}
    index = index_skills(
        [ids[row] for row in known], [vocabulary.by_id[ids[row]].name for row in known], vectors[known]
    )
    [found] = extract_requirements([text], vocabulary, index, embedder)
    return {each.skill_id: (vocabulary.by_id[each.skill_id].name, each.weight) for each in found}


def _read_people(database: Database, developer_ids: list[str]) -> dict[str, dict[str, Any]]:
    with database.transaction() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT developer_id, display_name, hourly_rate_minor, currency FROM marketplace.developers "
                "WHERE developer_id = ANY (:ids)"
            ),
            {"ids": developer_ids},
        )
        return {
            row.developer_id: {
                "display_name": row.display_name,
                "hourly_rate_minor": row.hourly_rate_minor,
                "currency": row.currency,
            }
            for row in rows
        }


def _why_nobody(database: Database, available_by: dt.date, rate: Rate | None) -> str:
    with database.transaction() as connection:
        free_count = connection.scalar(
            sa.text(
                "SELECT count(*) FROM marketplace.developers WHERE is_active AND available_from <= :available_by"
            ),
            {"available_by": available_by},
        )
    if not free_count:
        return f"No developer is active and free for new work by {available_by}."
    if rate is None:
        return f"{free_count} developers are active and free by {available_by}, but nothing is known of their work."
    limit = format_minor(rate.max_hourly_rate_minor, rate.currency)
    return (
        f"{free_count} developers are active and free by {available_by}, but none of them asks for at most {limit} an hour. "
        "Rates in other currencies are not compared."
    )


def _print(answer: TextMatch, console: Console) -> None:
    asked = ", ".join(answer.skills) or "no skill of the vocabulary"
    console.print(f"The text asks for: {escape(asked)}", highlight=False)
    if answer.why_nobody is not None:
        console.print(escape(answer.why_nobody), highlight=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right")
    table.add_column("developer")
    table.add_column("score", justify="right")
    table.add_column("mostly for")
    table.add_column("nearest work")
    table.add_column("rate", justify="right")
    for each in answer.developers:
        table.add_row(
            str(each.place),
            escape(f"{each.display_name or 'no name'} ({each.developer_id})"),
            f"{each.score:.2f}",
            _main_reasons(each.reasons),
            escape(f"{each.nearest} ({each.similarity:.2f})"),
            "not stated"
            if each.hourly_rate_minor is None or each.currency is None
            else format_minor(each.hourly_rate_minor, each.currency),
        )
    console.print(table)


def _main_reasons(reasons: Mapping[str, float | None]) -> str:
    """The largest parts of a score, those against it included."""
    parts = sorted(((value, term) for term, value in reasons.items() if value), key=lambda it: -abs(it[0]))
    return ", ".join(f"{term} {value:+.2f}" for value, term in parts[:REASONS_SHOWN])
