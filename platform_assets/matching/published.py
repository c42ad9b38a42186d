"""One publication of `platform.matches`: what is shown of the candidates, measured, and put up or held back.

It is computed whole whenever the candidates, or anything else that a re-rank reads, have changed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass

import pandas as pd
import sqlalchemy as sa

from platform_assets import thresholds
from platform_assets.clients.contract import read_contract
from platform_assets.clients.database import Database, WriteCounts
from platform_assets.matching import gates, publication
from platform_assets.matching.analytics import available_developers
from platform_assets.matching.candidates import PLACES, basis_of
from platform_assets.matching.changes import Reasons, list_changes
from platform_assets.matching.digests import content_digest
from platform_assets.matching.exposure import Tradeoff, measure_tradeoff
from platform_assets.matching.gates import Gate
from platform_assets.matching.outcomes import events_until, outcome_grades
from platform_assets.matching.publication import Outcome, Version
from platform_assets.matching.rerank import developer_limits, placement_counts, rerank
from platform_assets.tables import marketplace
from platform_assets.tables.matching import match_candidates, match_changes, match_versions, matches

LIST_NAME = "matches"

RE_RANKED = "re_ranked"
"""The cause of a change that the candidates did not have."""


def refresh_matches(
    database: Database,
    *,
    as_of: dt.date,
    now: Callable[[], dt.datetime],
    alerts: publication.Alerts,
    is_accepted: bool = False,
    first: int = PLACES.first,
) -> Outcome:
    """Publish what is to be shown of the candidates.

    Args:
        database: The database.
        as_of: Day for which it is published.
        now: Gives the present moment.
        alerts: Told when a version is held back.
        is_accepted: Whether somebody has said that unusual churn or exposure is meant.
        first: Places of a list.

    Raises:
        RefreshBusyError: Another refresh is at work.
    """
    with publication.one_at_a_time(database, LIST_NAME):
        live = publication.live_version(database, LIST_NAME)
        market = _read_market(database)
        limits = developer_limits(market.developers, market.open_projects, as_of=as_of)
        basis = basis_of(content_digest(database, [match_candidates]), first, limits.to_csv(index=False))
        is_intact = live is not None and publication.is_intact(database, live, LIST_NAME)
        if live and is_intact and live.is_of(as_of, basis):
            publication.confirm(database, LIST_NAME, alerts=alerts, now=now())
            return Outcome("unchanged", WriteCounts(), {"version_id": live.version_id})
        building, abandoned_count = publication.begin(
            database, LIST_NAME, method="full", as_of=as_of, basis=basis, base=live, now=now()
        )
        candidates = _rows(database, match_candidates)
        planned = rerank(candidates, limits, k=first, as_of=as_of)
        before = _rows(database, matches) if live else planned.iloc[:0]
        developers_count = _count(database, marketplace.developers)
        measured = _measure(
            candidates,
            planned,
            before,
            open_projects=market.open_projects["project_id"].tolist(),
            developers_count=developers_count,
            gated_churn=_churn_since(database, live.version_id) if live else 0.0,
            first=first,
            is_accepted=is_accepted,
        )
        details = {
            "version_id": building.version_id,
            "projects_matched": int(planned["project_id"].nunique()),
            "developers_shown": int(planned["developer_id"].nunique()),
            "shown_ratio": planned["developer_id"].nunique() / max(1, developers_count),
            "exposure_gini": gates.exposure_gini(planned["developer_id"], developers_count),
            "versions_abandoned": abandoned_count,
            **{f"places_{way}": count for way, count in placement_counts(planned).items()},
            **_tradeoff(database, candidates, planned, market, as_of=as_of, first=first).numbers(),
            **{f"gate_{gate.name}": gate.value for gate in measured},
        }
        if not all(gate.holds for gate in measured):
            publication.refuse(database, building, gates=measured, alerts=alerts, now=now())
            return Outcome("refused", WriteCounts(), details)
        changes = _changes(database, live, before, planned, first)
        counts = publication.publish(
            database,
            building,
            gates=measured,
            write=lambda connection: database.upsert(
                matches, planned, delete_missing=True, connection=connection
            ),
            changes=changes,
            alerts=alerts,
            now=now(),
        )
        return Outcome("published", counts, details | {"changes_count": len(changes)})


def _rows(database: Database, table: sa.Table) -> pd.DataFrame:
    columns = [column for column in table.columns if not column.info.get("bookkeeping")]
    return database.read(sa.select(*columns).order_by(table.c.project_id, table.c.rank))


def _count(database: Database, table: sa.Table) -> int:
    return int(database.read(sa.select(sa.func.count().label("n")).select_from(table))["n"].iloc[0])


@dataclass(frozen=True)
class _Market:
    """What the re-rank reads of the marketplace: its developers and its open projects."""

    developers: pd.DataFrame
    open_projects: pd.DataFrame


def _read_market(database: Database) -> _Market:
    projects = read_contract(database, marketplace.projects).rows
    return _Market(
        developers=read_contract(database, marketplace.developers).rows,
        open_projects=projects[projects["status"] == "open"],
    )


def _tradeoff(
    database: Database,
    candidates: pd.DataFrame,
    planned: pd.DataFrame,
    market: _Market,
    *,
    as_of: dt.date,
    first: int,
) -> Tradeoff:
    """What the re-rank costs and gains, on what clients did where they did something."""
    events = events_until(read_contract(database, marketplace.match_events).rows, as_of)
    return measure_tradeoff(
        candidates,
        planned,
        k=first,
        population=available_developers(market.developers, as_of),
        outcomes=outcome_grades(events),
    )


def _churn_since(database: Database, version_id: int) -> float:
    """Churn of the candidates in all their versions since a version; each of them has passed its own gate."""
    table = match_versions
    gates_of = database.read(
        sa.select(table.c.gates).where(
            table.c.list_name == "match_candidates",
            table.c.state.in_(["published", "superseded"]),
            table.c.version_id > version_id,
        )
    )["gates"]
    return float(sum(measured["churn"].get("churn_ratio", 0.0) for measured in gates_of))


def _measure(
    candidates: pd.DataFrame,
    planned: pd.DataFrame,
    before: pd.DataFrame,
    *,
    open_projects: Collection[str],
    developers_count: int,
    gated_churn: float,
    first: int,
    is_accepted: bool,
) -> list[Gate]:
    coverage, uncovered = gates.coverage_ratio(
        set(planned["project_id"]), frozenset(candidates["project_id"]), ()
    )
    churn, lost = gates.unexplained_churn_ratio(
        before, planned, first=first, open_projects=open_projects, explained_ratio=gated_churn
    )
    by_score = candidates[candidates["rank"] <= first]
    gini, plain, live = (
        gates.exposure_gini(frame["developer_id"], developers_count) for frame in (planned, by_score, before)
    )
    shown = {"gini": gini, "gini_by_score": plain, "gini_of_live": live}
    return [
        Gate("coverage", coverage, thresholds.PUBLISHED_COVERAGE_RATIO, uncovered),
        Gate("churn", churn, thresholds.PUBLISHED_CHURN_RATIO, lost, is_waived=is_accepted),
        Gate(
            "exposure",
            gini - max(plain, live),
            thresholds.PUBLISHED_GINI_RISE,
            shown,
            is_waived=is_accepted,
        ),
    ]


def _changes(
    database: Database, live: Version | None, before: pd.DataFrame, planned: pd.DataFrame, first: int
) -> pd.DataFrame:
    """What readers see change: for the candidates' causes where these have changed, too, or else by the re-rank."""
    if live is None:
        before = planned
    projects = {*before["project_id"], *planned["project_id"]}
    changes = list_changes(
        before,
        planned,
        first=first,
        reasons=Reasons(listed_projects=projects, open_projects=projects, for_all=RE_RANKED),
        why_not=lambda _: {},
    )
    versions, table = match_versions, match_changes
    of_candidates = database.read(
        sa.select(table.c.project_id, table.c.developer_id, table.c.change, table.c.cause)
        .join(versions, versions.c.version_id == table.c.version_id)
        .where(
            versions.c.list_name == match_candidates.name,
            versions.c.version_id > (live.version_id if live else 0),
        )
        .order_by(versions.c.version_id)
    )
    keys = ["project_id", "developer_id", "change"]
    latest = of_candidates.drop_duplicates(keys, keep="last")
    known = changes[keys].merge(latest, on=keys, how="left")["cause"]
    return changes.assign(cause=known.where(known.notna(), changes["cause"]))
