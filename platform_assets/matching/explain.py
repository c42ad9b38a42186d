"""Why a developer stands where they stand in a project's list, or why not: for any pair, open or not, permitted or not.

The numbers come from the routine that decides (`scoring`) and from the filters themselves; here they are put into words.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from platform_assets.clients.database import Database
from platform_assets.errors import PlatformError
from platform_assets.matching import inputs, publication
from platform_assets.matching.filters import Filters, why_not
from platform_assets.matching.scoring import TERMS, UNITS_PER_POINT, score_pairs
from platform_assets.matching.weights import DEFAULT_WEIGHTS, Weights
from platform_assets.matching.wording import INPUTS, VALUES
from platform_assets.tables.matching import match_candidates, matches

_SUGGESTIONS_COUNT = 5


class UnknownPairError(PlatformError):
    """There is no such project or developer; the message names similar ones."""


@dataclass(frozen=True)
class TermPart:
    """One term of the score.

    Attributes:
        term: Its name.
        points: What it adds; None when an input is missing, which adds nothing.
        weight: What the term is worth.
        inputs: What it was made of, in words.
    """

    term: str
    points: float | None
    weight: float
    inputs: str


@dataclass(frozen=True)
class Refusal:
    """A filter that keeps the pair from being matched: its name, and the two values that don't go together."""

    filter: str
    values: str


@dataclass(frozen=True)
class Explanation:
    """The account of a pair.

    Attributes:
        project_id: The project.
        developer_id: The developer.
        as_of: Day for which the score was computed.
        score: Sum of the terms' points.
        terms: The terms, in the order of the score's formula.
        refusals: Filters that refuse the pair; empty when it is permitted.
        rank: Place in `platform.matches`; None when not there.
        candidate_rank: Place in `platform.match_candidates`; None when not there.
        last_candidate_score: Score of the project's last candidate; None when it has none.
        standing: Where the pair stands and why, in one sentence.
    """

    project_id: str
    developer_id: str
    as_of: dt.date
    score: float
    terms: tuple[TermPart, ...]
    refusals: tuple[Refusal, ...]
    rank: int | None
    candidate_rank: int | None
    last_candidate_score: float | None
    standing: str


def explain_match(
    database: Database,
    project_id: str,
    developer_id: str,
    *,
    as_of: dt.date,
    weights: Weights = DEFAULT_WEIGHTS,
) -> Explanation:
    """Explain a pair.

    Args:
        database: The database; nothing of matching is written.
        project_id: Any project of the marketplace, open or not.
        developer_id: Any developer.
        as_of: Day for which to score where nothing has been published yet; else it is that of the live version.
        weights: What terms are worth.

    Raises:
        UnknownPairError: The marketplace has no such project or developer, or its row can't be used.
        MatchingInputError: The stored vectors can't be used.
    """
    live = publication.live_version(database, "match_candidates")
    market = inputs.read_market(database, live.as_of if live else as_of)
    project_row = _row_of(market.all_projects, "project_id", project_id, "project")
    developer_row = _row_of(market.developers, "developer_id", developer_id, "developer")
    model = inputs.read_model(database)
    statistics = inputs.read_statistics(database, market, model=model, keep=False)
    one = market.all_projects[market.all_projects["project_id"] == project_id]
    side = inputs.read_side(database, market, statistics, {developer_id})
    (project,) = inputs.read_projects(database, one, statistics)
    scores = score_pairs([project], side.features, np.array([[0, 0]]), weights=weights)
    reasons = scores.reasons(0)
    rules = Filters(
        market.filters({developer_id}).developers, one, market.contracts, market.blocks, market.as_of
    )
    values = weights.values()
    terms = tuple(
        TermPart(
            term,
            reasons[term],
            values[term],
            INPUTS[term](project, side.features, project_row, developer_row),
        )
        for term in TERMS
    )
    refusals = tuple(
        Refusal(name, VALUES[name](rules, project_row, developer_row))
        for name in why_not(rules, project_id, developer_id)
    )
    score = int(scores.totals[0]) / UNITS_PER_POINT
    places = _places(database, match_candidates, project_id)
    shown = _places(database, matches, project_id)
    candidate_rank, rank = places.get(developer_id), shown.get(developer_id)
    last = _last_score(database, project_id)
    return Explanation(
        project_id,
        developer_id,
        market.as_of,
        score,
        terms,
        refusals,
        rank,
        candidate_rank,
        last,
        _standing(rank, candidate_rank, len(shown), len(places), refusals, score, last),
    )


def _row_of(frame: pd.DataFrame, key: str, wanted: str, what: str) -> dict[str, Any]:
    rows = frame[frame[key] == wanted]
    if len(rows):
        return {str(name): value for name, value in rows.iloc[0].items()}
    close = difflib.get_close_matches(wanted, frame[key].tolist(), n=max(1, len(frame)), cutoff=0.6)
    # The closest first; of equally close ones those whose ids come first.
    similar = sorted(close, key=lambda name: (-difflib.SequenceMatcher(None, name, wanted).ratio(), name))
    hint = f" Did you mean {', '.join(similar[:_SUGGESTIONS_COUNT])}?" if similar else ""
    raise UnknownPairError(
        f"The marketplace has no {what} {wanted!r} that can be used ({len(frame):,} were looked through; "
        f"rows that break the contract are listed by `platform-assets checks`).{hint}"
    )


def _places(database: Database, table: sa.Table, project_id: str) -> dict[str, int]:
    rows = database.read(
        sa.select(table.c.developer_id, table.c.rank).where(table.c.project_id == project_id)
    )
    return dict(zip(rows["developer_id"], rows["rank"].tolist()))


def _last_score(database: Database, project_id: str) -> float | None:
    table = match_candidates
    last = database.read(
        sa.select(sa.func.min(table.c.score).label("last")).where(table.c.project_id == project_id)
    )
    return None if last["last"].isna().iloc[0] else float(last["last"].iloc[0])


def _standing(
    rank: int | None,
    candidate_rank: int | None,
    shown_count: int,
    candidates_count: int,
    refusals: Sequence[Refusal],
    score: float,
    last_score: float | None,
) -> str:
    if rank is not None:
        return f"Place {rank} of {shown_count} in the published list." + (
            " It is no candidate any more: the next refresh takes it out."
            if refusals or candidate_rank is None
            else ""
        )
    if refusals:
        return f"Not matched: refused by {', '.join(refusal.filter for refusal in refusals)}."
    if candidate_rank is not None:
        return f"Candidate {candidate_rank} of {candidates_count}, behind the {shown_count} places that are published."
    if last_score is None:
        return "The project has no list yet; the next refresh makes one."
    if score >= last_score:
        return (
            "Would stand in the list: something changed since it was computed; the next refresh takes it in."
        )
    return f"Below the cut: {last_score - score:.6f} short of the last of {candidates_count} candidates ({last_score:.6f})."


def as_json(explanation: Explanation) -> str:
    """The explanation as one JSON object."""
    return json.dumps(
        asdict(explanation) | {"as_of": explanation.as_of.isoformat()}, ensure_ascii=False, allow_nan=False
    )


def render(explanation: Explanation, console: Console) -> None:
    """Print the explanation for a person."""
    title = f"{explanation.project_id} × {explanation.developer_id} on {explanation.as_of}"
    table = Table(
        "Term", Column("Points", justify="right"), Column("Weight", justify="right"), "Made of", title=title
    )
    for part in explanation.terms:
        points = "unknown" if part.points is None else f"{part.points:+.6f}"
        table.add_row(part.term, points, f"{part.weight:g}", escape(part.inputs))
    table.add_section()
    table.add_row("score", f"{explanation.score:+.6f}", "", "sum of the points; what is unknown adds nothing")
    console.print(table)
    for refusal in explanation.refusals:
        console.print(f"  ✗ {refusal.filter}: {refusal.values}", markup=False, highlight=False)
    console.print(explanation.standing, markup=False, highlight=False)
