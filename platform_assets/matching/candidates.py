"""One refresh of `platform.match_candidates`: what changed, whole or in part, measured, published or held back.

A new day is computed whole: recency, time zones, availability and the statistics all hang on the day, so every score may
differ. Within a day the statistics stay as they were first computed, and only what changed is scored.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from platform_assets import thresholds
from platform_assets.clients.database import Database, WriteCounts, is_among, is_not_among
from platform_assets.matching import gates, inputs, publication
from platform_assets.matching.changes import Reasons, list_changes
from platform_assets.matching.features import ProjectFeatures
from platform_assets.matching.filters import refused_counts, why_not
from platform_assets.matching.gates import Gate
from platform_assets.matching.inputs import Differences
from platform_assets.matching.lists import (
    Lists,
    Places,
    bounds_of_lists,
    lists_of_rows,
    places_of_lists,
    rows_of_lists,
)
from platform_assets.matching.refresh import Method, Refreshed, full, incremental
from platform_assets.matching.weights import DEFAULT_WEIGHTS, Weights
from platform_assets.tables.matching import (
    match_bounds,
    match_candidates,
    match_inputs,
    match_spares,
)

LIST_NAME = "match_candidates"

PLACES = Places(first=50, reserve=25, spare=25)
"""A list of more than a client reads, enough to page through; a reserve for the re-rank; spares for half a day's leavers."""

SAMPLED_LISTS = 5
SAMPLED_DEVELOPERS = 1_000
"""What the gate of exactness scores again: whole lists, and so many developers who must stand behind them."""


NAMED_PROJECTS = 20


@dataclass(frozen=True)
class Found:
    """What a refresh finds before it computes anything."""

    live: publication.Version | None
    is_intact: bool
    developers: Differences
    projects: Differences
    model: str

    @property
    def inputs_digest(self) -> int:
        """Hash of everything that the lists are computed from."""
        return inputs.joint_inputs_digest(self.developers, self.projects)

    @property
    def unchanged(self) -> publication.Version | None:
        """The live version, if nothing has changed since."""
        is_changed = len(self.developers.rows) or len(self.projects.rows) or not self.is_intact
        return None if is_changed else self.live


def refresh_candidates(
    database: Database,
    *,
    as_of: dt.date,
    now: Callable[[], dt.datetime],
    alerts: publication.Alerts,
    is_accepted: bool = False,
    places: Places = PLACES,
    weights: Weights = DEFAULT_WEIGHTS,
) -> publication.Outcome:
    """Bring the candidates up to date.

    Args:
        database: The database.
        as_of: Day for which they are to hold.
        now: Gives the present moment.
        alerts: Told when a version is held back.
        is_accepted: Whether somebody has said that unusual churn is meant.
        places: How many developers a list holds.
        weights: What terms are worth.

    Raises:
        MatchingInputError: The stored vectors can't be used; the live version stays.
        RefreshBusyError: Another refresh is at work.
    """
    with publication.one_at_a_time(database, LIST_NAME):
        found = _look(database)
        version = inputs.statistics_version(database, as_of, model=found.model)
        unchanged = found.unchanged
        if unchanged and unchanged.is_of(as_of, basis_of(version, weights, places)):
            publication.confirm(
                database, LIST_NAME, alerts=alerts, now=now(), inputs_digest=found.inputs_digest
            )
            return publication.Outcome("unchanged", WriteCounts(), {"version_id": unchanged.version_id})
        return _Refresh(database, as_of, now, alerts, is_accepted, places, weights, found).run()


def _look(database: Database) -> Found:
    live = publication.live_version(database, LIST_NAME)
    return Found(
        live,
        live is not None and publication.is_intact(database, live, LIST_NAME),
        *inputs.read_differences(database, known=live.inputs_digest if live else None),
        inputs.read_model(database),
    )


def basis_of(*parts: object) -> str:
    """Hash of what every row of a version hangs on, the code that computes it included."""
    described = json.dumps([_code_version(), *map(_described, parts)])
    return hashlib.sha256(described.encode()).hexdigest()


def _described(part: object) -> str:
    return part.version if isinstance(part, Weights) else str(part)


@cache
def _code_version() -> str:
    """Hash of this domain's sources: another release may score in another way."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _Refresh:
    """A refresh that has something to do."""

    def __init__(
        self,
        database: Database,
        as_of: dt.date,
        now: Callable[[], dt.datetime],
        alerts: publication.Alerts,
        is_accepted: bool,
        places: Places,
        weights: Weights,
        found: Found,
    ) -> None:
        self.database, self.as_of, self.now, self.alerts = database, as_of, now, alerts
        self.is_accepted, self.places, self.weights, self.found = is_accepted, places, weights, found
        self.market = inputs.read_market(database, as_of)
        self.statistics = inputs.read_statistics(database, self.market, model=found.model)
        self.basis = basis_of(self.statistics.version, weights, places)
        self.everyone = cache(lambda: inputs.read_side(database, self.market, self.statistics))

    def run(self) -> publication.Outcome:
        building, abandoned_count = publication.begin(
            self.database,
            LIST_NAME,
            method=self.method,
            as_of=self.as_of,
            basis=self.basis,
            base=self.found.live,
            now=self.now(),
        )
        projects = inputs.read_projects(self.database, self.market.projects, self.statistics)
        refreshed = self.compute(projects)
        before, after = self.live_places(), places_of_lists(refreshed.lists)
        if self.found.live is None:
            # Whatever stands there was never measured: nothing is compared with it.
            before = before.iloc[:0]
        measured = self.measure(building.version_id, projects, refreshed, before, after)
        details: dict[str, Any] = {
            "version_id": building.version_id,
            "method": refreshed.method,
            "projects_open": len(projects),
            "developers_considered": len(self.market.developers),
            "developers_rescored": refreshed.rescored_count,
            "projects_scanned": refreshed.scanned_count,
            "projects_rescanned": refreshed.rescanned_count,
            "rescan_ratio": refreshed.rescan_ratio,
            "projects_without_anybody": self.told(refreshed.without_anybody),
            "versions_abandoned": abandoned_count,
            "mean_score": float(after["score"].mean()) if len(after) else 0.0,
            **{f"gate_{gate.name}": gate.value for gate in measured},
        }
        if not all(gate.holds for gate in measured):
            publication.refuse(
                self.database,
                building,
                gates=measured,
                alerts=self.alerts,
                now=self.now(),
            )
            return publication.Outcome("refused", WriteCounts(), details)
        changes = self.changes(before, after, refreshed)
        counts = publication.publish(
            self.database,
            building,
            gates=measured,
            write=lambda connection: self.write(connection, refreshed),
            changes=changes,
            alerts=self.alerts,
            now=self.now(),
            inputs_digest=self.found.inputs_digest,
        )
        return publication.Outcome("published", counts, details | {"changes_count": len(changes)})

    @property
    def method(self) -> Method:
        live = self.found.live
        can_build_on = live is not None and self.found.is_intact and live.is_of(self.as_of, self.basis)
        return "incremental" if can_build_on else "full"

    def compute(self, projects: Sequence[ProjectFeatures]) -> Refreshed:
        if self.method == "full":
            return full(projects, self.everyone(), places=self.places, weights=self.weights)
        good = set(self.market.developers["developer_id"])
        changed = self.found.developers.ids & good
        return incremental(
            self.read_base(),
            projects,
            changed=inputs.read_side(self.database, self.market, self.statistics, changed),
            gone=(self.found.developers.ids | self.found.developers.gone) - good,
            changed_projects=self.found.projects.ids,
            everyone=self.everyone,
            places=self.places,
            weights=self.weights,
        )

    def read_base(self) -> Lists:
        """The live lists, but for those of projects that are set aside, which may be of another day or release."""

        def read(table: sa.Table, *names: str) -> pd.DataFrame:
            return self.database.read(
                sa.select(*(table.c[name] for name in names)).where(
                    is_not_among(table.c.project_id, self.market.set_aside_projects)
                )
            )

        tables = (match_candidates, match_spares)
        listed = [read(table, "project_id", "developer_id", "reasons") for table in tables]
        bounds = read(match_bounds, "project_id", "score", "developer_id")
        return lists_of_rows(pd.concat(listed, ignore_index=True), bounds)

    def told(self, without_anybody: Sequence[str]) -> str:
        """Projects whose filters let nobody through, each with the filter that refuses most."""
        rules = self.market.filters()
        parts = []
        for project_id in without_anybody[:NAMED_PROJECTS]:
            refused = refused_counts(rules, project_id)
            most = max(refused, key=lambda name: refused[name])
            parts.append(
                f"{project_id} ({most} refuses {refused[most]:,} of {len(self.market.developers):,})"
            )
        more = len(without_anybody) - len(parts)
        return "; ".join(parts) + (f"; and {more:,} more" if more else "")

    def live_places(self) -> pd.DataFrame:
        """Who stands where now, but for projects that are set aside, whose lists stay."""
        table = match_candidates
        return self.database.read(
            sa.select(table.c.project_id, table.c.developer_id, table.c.rank, table.c.score)
            .where(is_not_among(table.c.project_id, self.market.set_aside_projects))
            .order_by(table.c.project_id, table.c.rank)
        )

    def measure(
        self,
        version_id: int,
        projects: Sequence[ProjectFeatures],
        refreshed: Refreshed,
        before: pd.DataFrame,
        after: pd.DataFrame,
    ) -> list[Gate]:
        coverage, uncovered = gates.coverage_ratio(
            set(after["project_id"]), refreshed.lists.project_ids, refreshed.without_anybody
        )
        faults = self.sample_faults(version_id, projects, after)
        joined_or_gone = len(self.found.developers.new | self.found.developers.gone)
        churn, lost = gates.unexplained_churn_ratio(
            before,
            after,
            first=self.places.first,
            open_projects=refreshed.lists.project_ids,
            changed_projects=self.found.projects.ids,
            explained_ratio=joined_or_gone / max(1, len(self.market.developers)),
        )
        return [
            Gate("coverage", coverage, thresholds.PUBLISHED_COVERAGE_RATIO, uncovered),
            Gate("exactness", len(faults), thresholds.PUBLISHED_FAULTY_LISTS, {"faults": faults}),
            Gate("churn", churn, thresholds.PUBLISHED_CHURN_RATIO, lost, is_waived=self.is_accepted),
        ]

    def sample_faults(
        self, version_id: int, projects: Sequence[ProjectFeatures], after: pd.DataFrame
    ) -> list[str]:
        """What brute force over a sample, drawn anew for each version, finds wrong."""
        rng = np.random.default_rng(version_id)
        chosen = sorted(rng.permutation(len(projects))[:SAMPLED_LISTS].tolist())
        names = [projects[position].project_id for position in chosen]
        rows = after[(after["rank"] <= self.places.listed) & after["project_id"].isin(names)]
        others = rng.permutation(self.market.developers["developer_id"].to_numpy(dtype=object))
        side = inputs.read_side(
            self.database,
            self.market,
            self.statistics,
            {*rows["developer_id"], *others[:SAMPLED_DEVELOPERS]},
        )
        return gates.inexact_places(rows, projects, chosen, side, places=self.places, weights=self.weights)

    def changes(self, before: pd.DataFrame, after: pd.DataFrame, refreshed: Refreshed) -> pd.DataFrame:
        live = self.found.live
        for_all = None
        if live is None:
            after = before
        elif refreshed.method == "full":
            for_all = "new_day" if live.as_of != self.as_of else "scored_anew"
        return list_changes(
            before,
            after,
            first=self.places.first,
            reasons=Reasons(
                new_developers=self.found.developers.new,
                changed_developers=self.found.developers.ids,
                only_filtered=self.found.developers.only_filtered,
                gone_developers=self.found.developers.gone,
                changed_projects=self.found.projects.ids,
                listed_projects=set(before["project_id"]),
                open_projects=set(refreshed.lists.project_ids),
                for_all=for_all,
            ),
            why_not=self.why_not,
        )

    def why_not(self, pairs: Any) -> dict[tuple[str, str], list[str]]:
        rules = self.market.filters({developer for some in pairs.values() for developer in some})
        return {
            (project, developer): why_not(rules, project, developer)
            for project, developers in pairs.items()
            for developer in developers
            if developer in rules.developer_positions
        }

    def write(self, connection: sa.Connection, refreshed: Refreshed) -> WriteCounts:
        """Write the lists that may differ, and what they were computed from."""
        lists, touched = refreshed.lists, refreshed.touched
        rows = rows_of_lists(lists, as_of=self.as_of, only=touched)
        is_listed = rows["rank"] <= self.places.listed

        # Lists of projects that are set aside stay as they are; those of projects that are gone or closed go.
        kept = self.market.set_aside_projects.union(lists.project_ids)

        def renewed(table: sa.Table) -> sa.ColumnElement[bool]:
            return is_among(table.c.project_id, touched) | is_not_among(table.c.project_id, kept)

        def upsert(table: sa.Table, frame: pd.DataFrame) -> WriteCounts:
            return self.database.upsert(table, frame, delete_missing=renewed(table), connection=connection)

        counts = upsert(match_candidates, rows[is_listed])
        upsert(match_spares, rows[~is_listed])
        upsert(match_bounds, bounds_of_lists(lists, only=touched))
        for side in (self.found.developers, self.found.projects):
            of_side = match_inputs.c.side == side.side
            self.database.upsert(
                match_inputs,
                side.digest_rows(),
                delete_missing=of_side & is_among(match_inputs.c.item_id, side.gone),
                connection=connection,
            )
        return counts
