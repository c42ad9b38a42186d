"""The matching assets: thin Dagster functions that read, call pure functions, write, and say what changed."""

from functools import partial

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.contract import ContractRead, read_contract
from platform_assets.clients.database import Database, is_not_among
from platform_assets.matching import features, filters, top_k
from platform_assets.matching.statistics import CorpusStatistics, corpus_statistics
from platform_assets.resources import Clock
from platform_assets.table_assets import read_table, table_asset, written
from platform_assets.tables import marketplace
from platform_assets.tables import platform as tables
from platform_assets.tables.skill_graph import skill_edges

GROUP = "matching"

MATCHES_PER_PROJECT = 50
"""Places of a list: more than a client reads, enough to page through."""

RESERVE_PLACES = 25
"""Places behind the list, from which it is refilled when somebody leaves it."""


def _statistics(database: Database, developers_count: int) -> CorpusStatistics:
    return corpus_statistics(
        developers_count=developers_count,
        repositories=read_table(database, tables.developer_repositories),
        vectors=read_table(database, tables.developer_vectors),
        skill_profiles=read_table(database, tables.skill_profiles),
        skill_edges=read_table(database, skill_edges),
    )


def _developer_features(
    database: Database, developers: pd.DataFrame, statistics: CorpusStatistics, clock: Clock
) -> features.DeveloperFeatures:
    return features.developer_features(
        developers=developers,
        repositories=read_table(database, tables.developer_repositories),
        vectors=read_table(database, tables.developer_vectors),
        skill_profiles=read_table(database, tables.skill_profiles),
        statistics=statistics,
        as_of=clock.as_of,
    )


def _all_rows(database: Database, table: sa.Table, *names: str) -> pd.DataFrame:
    """Columns of a contract's table, of rows that are set aside, too: a block with a bad date is still a block."""
    read_contract(database, table)
    return database.read(sa.select(*(table.c[name] for name in names)))


def _kept(read: ContractRead) -> sa.ColumnElement[bool]:
    """Rows that a full recomputation may delete: all but those of projects that are set aside."""
    return is_not_among(tables.match_candidates.c.project_id, read.set_aside_keys)


@table_asset(
    tables.match_candidates,
    group=GROUP,
    kinds={"numpy"},
    deps=[
        "developer_profiles",
        "skill_profiles",
        "developer_vectors",
        "project_requirements",
        "project_vectors",
        "skill_graph",
    ],
)
def match_candidates(
    database: dg.ResourceParam[Database], clock: dg.ResourceParam[Clock]
) -> dg.MaterializeResult[None]:
    """The exact best developers of each open project: filters first, then an additive score whose parts are kept."""
    projects = read_contract(database, marketplace.projects)
    open_projects = projects.rows[projects.rows["status"] == "open"]
    developers = read_contract(database, marketplace.developers).rows
    statistics = _statistics(database, len(developers))
    rules = filters.Filters(
        developers=developers,
        projects=open_projects,
        contracts=_all_rows(database, marketplace.contracts, "project_id", "developer_id", "status"),
        blocks=_all_rows(database, marketplace.blocks, "client_id", "developer_id"),
        as_of=clock.as_of,
    )
    frame = top_k.rank_candidates(
        features.project_features(
            projects=open_projects,
            requirements=read_table(database, tables.project_requirements),
            vectors=read_table(database, tables.project_vectors),
            statistics=statistics,
        ),
        _developer_features(database, developers, statistics, clock),
        partial(filters.allowed_pairs, rules),
        k=MATCHES_PER_PROJECT,
        reserve=RESERVE_PLACES,
        as_of=clock.as_of,
    )
    counts = database.upsert(tables.match_candidates, frame, delete_missing=_kept(projects))
    return written(
        database,
        tables.match_candidates,
        counts,
        as_of=clock.as_of,
        projects_open=len(open_projects),
        developers_considered=len(developers),
        mean_score=float(frame["score"].mean()) if len(frame) else 0.0,
    )


@table_asset(tables.matches, group=GROUP, kinds={"pandas"}, deps=["match_candidates"])
def matches(
    database: dg.ResourceParam[Database], clock: dg.ResourceParam[Clock]
) -> dg.MaterializeResult[None]:
    """The first places of each project's candidates, published in one transaction: readers never see a mixture."""
    frame = top_k.publish(read_table(database, tables.match_candidates), k=MATCHES_PER_PROJECT)
    counts = database.upsert(tables.matches, frame, delete_missing=True)
    return written(
        database,
        tables.matches,
        counts,
        as_of=clock.as_of,
        projects_matched=int(frame["project_id"].nunique()),
        developers_shown=int(frame["developer_id"].nunique()),
    )


ASSETS = [match_candidates, matches]
