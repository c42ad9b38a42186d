"""Reads what matching is computed from: which rows changed since the last version, and the frames and arrays of any part.

Changes are found in the database by hashes, so that an unchanged marketplace is not read at all: first one of all inputs,
and only where that differs, one of each developer and project. What follows from them is `refresh`'s and `changes`' business.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, partial

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.contract import read_contract
from platform_assets.clients.database import Database, is_among
from platform_assets.matching import features, filters
from platform_assets.matching.digests import joint_digest, record_digest, row_digest, stored_digest
from platform_assets.matching.features import ProjectFeatures
from platform_assets.matching.refresh import Side
from platform_assets.matching.statistics import CorpusStatistics, corpus_statistics
from platform_assets.matching.vectors import MatchingInputError
from platform_assets.tables import marketplace, platform
from platform_assets.tables.matching import match_inputs, match_statistics
from platform_assets.tables.skill_graph import skill_edges

DEVELOPER, PROJECT = "developer", "project"

_DEVELOPER_TABLES: tuple[sa.Table, ...] = (
    platform.developer_repositories,
    platform.developer_vectors,
    platform.skill_profiles,
)
_PROJECT_TABLES: tuple[sa.Table, ...] = (platform.project_requirements, platform.project_vectors)
_SCORED = {
    marketplace.developers: (
        "hourly_rate_minor",
        "currency",
        "capacity_hours_per_week",
        "rating_average",
        "rating_count",
    ),
    platform.developer_repositories: ("repository", "topics", "subjects", "languages", "last_contributed_on"),
    platform.developer_vectors: ("facet", "model", "inputs_sha256"),
    platform.skill_profiles: ("skill_id", "confidence"),
    marketplace.projects: (
        "title",
        "max_hourly_rate_minor",
        "budget_minor",
        "expected_hours",
        "currency",
        "hours_per_week",
    ),
    platform.project_requirements: ("skill_id", "weight"),
    platform.project_vectors: ("model", "inputs_sha256"),
}
"""Columns that scores are made of."""

_FILTERED = {
    marketplace.developers: ("is_active", "available_from", "hourly_rate_minor", "currency", "time_zone"),
    marketplace.contracts: ("contract_id", "project_id", "status"),
    marketplace.blocks: ("client_id", "blocked_by"),
    marketplace.projects: (
        "client_id",
        "status",
        "max_hourly_rate_minor",
        "currency",
        "time_zone",
        "min_overlap_hours",
        "starts_on",
    ),
}
"""Columns that filters look at."""


def _of_table(table: sa.Table, key: str, *, is_account: bool) -> sa.Select[str, int, int, bool]:
    nothing = sa.cast(sa.null(), sa.BigInteger)
    return sa.select(
        sa.cast(table.c[key], sa.Text).label("item_id"),
        (row_digest(table, _SCORED[table]) if table in _SCORED else nothing).label("scored"),
        (row_digest(table, _FILTERED[table]) if table in _FILTERED else nothing).label("filtered"),
        sa.literal(is_account).label("is_account"),
    )


def _digests(side: str) -> sa.Subquery:
    """What each developer or project of the marketplace is made of now."""
    if side == DEVELOPER:
        parts = [
            _of_table(marketplace.developers, "developer_id", is_account=True),
            *(
                _of_table(table, "developer_id", is_account=False)
                for table in (*_DEVELOPER_TABLES, marketplace.contracts, marketplace.blocks)
            ),
        ]
    else:
        parts = [
            _of_table(marketplace.projects, "project_id", is_account=True),
            *(_of_table(table, "project_id", is_account=False) for table in _PROJECT_TABLES),
        ]
    rows = sa.union_all(*parts).subquery()
    return (
        sa.select(
            rows.c.item_id,
            joint_digest(rows.c.scored).label("score_digest"),
            joint_digest(rows.c.filtered).label("filter_digest"),
        )
        .group_by(rows.c.item_id)
        .having(sa.func.bool_or(rows.c.is_account))
        .subquery()
    )


def _side_digest(side: str) -> sa.ColumnElement[int]:
    """Hash of all that a side is made of. It may differ where nothing has changed, but not be the same where something has.

    Of the platform's own tables it tells which rows are stored; the marketplace's may be views, whose contents are hashed.
    """
    views: tuple[sa.Table, ...] = (marketplace.projects,)
    key, tables = "project_id", _PROJECT_TABLES
    if side == DEVELOPER:
        views = (marketplace.developers, marketplace.contracts, marketplace.blocks)
        key, tables = "developer_id", _DEVELOPER_TABLES
    digests = [
        row_digest(view, dict.fromkeys((key, *_SCORED.get(view, ()), *_FILTERED[view]))) for view in views
    ]
    parts = [
        *(sa.select(joint_digest(digest)) for digest in digests),
        *(sa.select(joint_digest(stored_digest(table))).select_from(table) for table in tables),
    ]
    return record_digest(part.scalar_subquery() for part in parts)


@dataclass(frozen=True)
class Differences:
    """Developers or projects that are not as they were for the last version.

    Attributes:
        side: `developer` or `project`.
        rows: `item_id`, `score_digest`, `filter_digest` (as they are now; null for those who are gone), `was_there`,
            `score_changed`.
        digest: Hash of all that the side was made of when it was compared.
    """

    side: str
    rows: pd.DataFrame
    digest: int

    @property
    def ids(self) -> frozenset[str]:
        """Those who are there and new or changed."""
        return frozenset(self.rows["item_id"][self.rows["score_digest"].notna()])

    @property
    def new(self) -> frozenset[str]:
        """Those who were not there."""
        return frozenset(self.rows["item_id"][~self.rows["was_there"]])

    @property
    def gone(self) -> frozenset[str]:
        """Those who are no longer there."""
        return frozenset(self.rows["item_id"][self.rows["score_digest"].isna()])

    @property
    def only_filtered(self) -> frozenset[str]:
        """Those who score as before, but of whom something changed that filters look at."""
        return frozenset(self.rows["item_id"][self.rows["was_there"] & ~self.rows["score_changed"]])

    def digest_rows(self) -> pd.DataFrame:
        """Rows of `platform.match_inputs` for those who are there."""
        there = self.rows[self.rows["score_digest"].notna()]
        return pd.DataFrame(
            {
                "side": [self.side] * len(there),
                "item_id": there["item_id"].to_numpy(dtype=object),
                "score_digest": there["score_digest"].to_numpy(dtype=object),
                "filter_digest": there["filter_digest"].to_numpy(dtype=object),
            }
        )


def read_differences(database: Database, known: int | None) -> tuple[Differences, Differences]:
    """What is new, changed or gone since the inputs of the last version were written down: developers, and projects.

    Args:
        database: The database.
        known: `joint_inputs_digest` of the inputs that were written down; None when it is not known.
    """
    sides = (DEVELOPER, PROJECT)
    query = sa.select(*(_side_digest(side).label(side) for side in sides))
    digests = database.read(query).iloc[0]
    unchanged = tuple(Differences(side, _NO_ROWS, int(digests[side])) for side in sides)
    is_known = known is not None and joint_inputs_digest(*unchanged) == known
    developers, projects = unchanged if is_known else (_read_differences(database, side) for side in sides)
    return developers, projects


def joint_inputs_digest(developers: Differences, projects: Differences) -> int:
    """Hash of all that both sides are made of."""
    return developers.digest ^ projects.digest


_FLAGS = ("was_there", "score_changed")
_NO_ROWS = pd.DataFrame(
    {
        "item_id": pd.Series(dtype="str"),
        **{name: pd.Series(dtype="Int64") for name in ("score_digest", "filter_digest")},
        **{name: pd.Series(dtype="bool") for name in _FLAGS},
    }
)


def _read_differences(database: Database, side: str) -> Differences:
    now = _digests(side)
    then = sa.select(match_inputs).where(match_inputs.c.side == side).subquery()
    score_changed = now.c.score_digest.is_distinct_from(then.c.score_digest)
    differing = (
        sa.select(
            sa.func.coalesce(now.c.item_id, then.c.item_id).label("item_id"),
            now.c.score_digest,
            now.c.filter_digest,
            then.c.item_id.is_not(None).label("was_there"),
            score_changed.label("score_changed"),
        )
        .select_from(now.join(then, now.c.item_id == then.c.item_id, full=True))
        .where(score_changed | now.c.filter_digest.is_distinct_from(then.c.filter_digest))
        .subquery()
    )
    # In one statement, so that the hash is of just the rows that are compared.
    whole = sa.select(_side_digest(side).label("side_digest")).subquery()
    query = (
        sa.select(whole, differing)
        .select_from(whole.outerjoin(differing, sa.true()))
        .order_by(differing.c.item_id)
    )
    frame = database.read(query)
    digest = int(frame.pop("side_digest").iloc[0])
    rows = frame[frame["item_id"].notna()].reset_index(drop=True)
    return Differences(side, rows.astype(dict.fromkeys(_FLAGS, "bool")), digest)


def read_model(database: Database) -> str:
    """The model that made the stored vectors; empty when there are none.

    Raises:
        MatchingInputError: There are vectors of several models.
    """
    models = sorted(
        {
            str(model)
            for table in (platform.developer_vectors, platform.project_vectors)
            for model in database.read(sa.select(table.c.model).distinct())["model"]
        }
    )
    if len(models) > 1:
        raise MatchingInputError(
            f"The vectors were made by {len(models)} models ({', '.join(models)}), whose positions don't compare. "
            "Materialize developer_vectors and project_vectors again; until then the last matches stay"
        )
    return models[0] if models else ""


@dataclass(frozen=True)
class Market:
    """What the marketplace says now.

    Attributes:
        developers: Good rows of `marketplace.developers`, by id.
        all_projects: Good rows of `marketplace.projects`, by id.
        set_aside_projects: Projects whose row can't be used now, whatever its status.
        contracts: `project_id`, `developer_id`, `status`.
        blocks: `client_id`, `developer_id`.
        as_of: Day for which filters hold.
    """

    developers: pd.DataFrame
    all_projects: pd.DataFrame
    set_aside_projects: frozenset[str]
    contracts: pd.DataFrame
    blocks: pd.DataFrame
    as_of: dt.date

    @cached_property
    def projects(self) -> pd.DataFrame:
        """Rows of those that are open."""
        return self.all_projects[self.all_projects["status"] == "open"].reset_index(drop=True)

    def filters(self, only: Collection[str] | None = None) -> filters.Filters:
        """The data of the filters, of all developers or of some."""
        developers = self.developers
        if only is not None:
            developers = developers[developers["developer_id"].isin(list(only))]
        return filters.Filters(developers, self.projects, self.contracts, self.blocks, self.as_of)


def read_market(database: Database, as_of: dt.date) -> Market:
    """Read the marketplace through its contract."""
    projects = read_contract(database, marketplace.projects)
    developers = read_contract(database, marketplace.developers).rows
    return Market(
        developers=developers.sort_values("developer_id", ignore_index=True),
        all_projects=projects.rows.sort_values("project_id", ignore_index=True),
        set_aside_projects=projects.set_aside_keys,
        contracts=_all_rows(database, marketplace.contracts, "project_id", "developer_id", "status"),
        blocks=_all_rows(database, marketplace.blocks, "client_id", "developer_id"),
        as_of=as_of,
    )


def _all_rows(database: Database, table: sa.Table, *names: str) -> pd.DataFrame:
    """Columns of a contract's table, of rows that are set aside, too: a block with a bad date is still a block."""
    read_contract(database, table)
    return database.read(sa.select(*(sa.cast(table.c[name], sa.Text).label(name) for name in names)))


def statistics_version(database: Database, as_of: dt.date, *, model: str) -> str | None:
    """Version of the day's statistics; None when they have not been computed yet."""
    table = match_statistics
    stored = database.read(sa.select(table.c.version).where(table.c.as_of == as_of, table.c.model == model))
    return str(stored["version"].iloc[0]) if len(stored) else None


def read_statistics(database: Database, market: Market, *, model: str, keep: bool = True) -> CorpusStatistics:
    """The day's statistics: as they were stored, or computed now and, with `keep`, stored for the rest of the day."""
    table = match_statistics
    stored = database.read(
        sa.select(table.c.payload).where(table.c.as_of == market.as_of, table.c.model == model)
    )
    if len(stored):
        return CorpusStatistics.from_bytes(bytes(stored["payload"].iloc[0]))
    statistics = corpus_statistics(
        developers_count=len(market.developers),
        repositories=_read(database, platform.developer_repositories),
        vectors=_read(database, platform.developer_vectors),
        skill_profiles=_read(database, platform.skill_profiles),
        skill_edges=_read(database, skill_edges),
    )
    if not keep:
        return statistics
    with database.transaction() as connection:
        row = {
            "as_of": market.as_of,
            "model": model,
            "version": statistics.version,
            "payload": statistics.to_bytes(),
        }
        insert = pg.insert(table).values(row)
        connection.execute(insert.on_conflict_do_nothing(index_elements=[table.c.as_of, table.c.model]))
    return statistics


def read_side(
    database: Database, market: Market, statistics: CorpusStatistics, only: Collection[str] | None = None
) -> Side:
    """Developers with what it takes to score and filter them: all, or some."""
    rules = market.filters(only)
    repositories, vectors, skill_profiles = (
        _read(database, table, "developer_id", only) for table in _DEVELOPER_TABLES
    )
    return Side(
        features.developer_features(
            developers=rules.developers,
            repositories=repositories,
            vectors=vectors,
            skill_profiles=skill_profiles,
            statistics=statistics,
            as_of=market.as_of,
        ),
        partial(filters.allowed_pairs, rules),
        filters.eligible_developers(rules),
    )


def read_projects(
    database: Database, projects: pd.DataFrame, statistics: CorpusStatistics
) -> tuple[ProjectFeatures, ...]:
    """Features of projects, given their rows of the marketplace, by ascending id."""
    only = list(projects["project_id"])
    return features.project_features(
        projects=projects,
        requirements=_read(database, platform.project_requirements, "project_id", only),
        vectors=_read(database, platform.project_vectors, "project_id", only),
        statistics=statistics,
    )


def _read(
    database: Database, table: sa.Table, key: str | None = None, only: Collection[str] | None = None
) -> pd.DataFrame:
    """Rows of a derived table by key, without its bookkeeping: all of them, or those of some developers or projects."""
    columns = [column for column in table.columns if not column.info.get("bookkeeping")]
    query = sa.select(*columns).order_by(*table.primary_key.columns)
    if key is not None and only is not None:
        query = query.where(is_among(table.c[key], only))
    return database.read(query)
