"""Brings the ledger of evidence up to date: only developers whose inputs changed are read and weighed again.

What evidence is, is `skill_evidence`. A developer's inputs are compared by a hash, which Postgres makes of stored rows.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.contract import ContractRead
from platform_assets.clients.database import Database, WriteCounts, is_among, is_not_among
from platform_assets.profiles.discounts import is_bot
from platform_assets.profiles.skill_evidence import (
    LEDGER_COLUMNS,
    TEXT_COLUMNS,
    WHOLE_COLUMNS,
    Evidence,
    collect_evidence,
)
from platform_assets.profiles.vocabulary import Vocabulary
from platform_assets.tables import platform as tables
from platform_assets.tables.skill_evidence import developer_evidence, skill_evidence
from platform_assets.tables.skill_texts import developer_text_skills

DEVELOPERS_PER_COMMIT = 5_000
"""An interrupted refresh keeps all but the last so many developers, and memory holds no more of them."""

_CONTRACT_INPUTS = ["contract_id", "status", "skills_used", "started_on", "ended_on", "client_rating"]
_TEXT_INPUTS = [developer_text_skills.c[name] for name in ("skill_id", "source", "repository", "evidence")]
_REPOSITORY_INPUTS = [
    tables.developer_repositories.c[name]
    for name in (
        "repository",
        "description",
        "is_fork",
        "topics",
        "languages",
        "commits_count",
        "commits_last_year_count",
        "first_contributed_on",
        "last_contributed_on",
    )
]


@dataclass(frozen=True)
class EvidenceRefresh:
    """What a refresh did.

    Attributes:
        counts: Rows of the ledger that were written.
        developers_count: Developers whose inputs had changed.
    """

    counts: WriteCounts
    developers_count: int


def evidence_inputs(
    database: Database,
    developers: pd.DataFrame,
    contracts: pd.DataFrame,
    vocabulary: Vocabulary,
    *,
    as_of: dt.date,
) -> Mapping[str, str]:
    """Developer → SHA-256 over all that their evidence is made of: their rows, the vocabulary and the day."""
    shared = json.dumps([as_of.isoformat(), *(frame.to_csv(index=False) for frame in vocabulary.frames())])
    work = _row_hashes(database, tables.developer_repositories.c.developer_id, _REPOSITORY_INPUTS)
    texts = _row_hashes(database, developer_text_skills.c.developer_id, _TEXT_INPUTS)
    of_contracts = {
        developer: rows.to_json(orient="values", date_format="iso")
        for developer, rows in contracts.sort_values("contract_id")[
            ["developer_id", *_CONTRACT_INPUTS]
        ].groupby("developer_id")
    }
    base = hashlib.sha256(shared.encode())
    digests = {}
    for developer, skills, login in zip(
        developers["developer_id"],
        developers["declared_skills"],
        developers["github_login"].astype(object).where(developers["github_login"].notna(), None),
    ):
        own = base.copy()
        of_tables = [read.get(developer) for read in (work, texts, of_contracts)]
        said = [list(skills), is_bot(login), *of_tables]
        own.update(json.dumps(said).encode())
        digests[developer] = own.hexdigest()
    return digests


def _row_hashes(
    database: Database, developer_id: sa.Column[str], columns: Sequence[sa.Column[object]]
) -> Mapping[str, str]:
    """Developer → hash of their rows of a table; computed where the rows are, since there are many."""
    row = sa.func.md5(sa.cast(sa.func.row(*columns), sa.Text))
    hashed = sa.func.md5(sa.func.string_agg(row, pg.aggregate_order_by(sa.literal_column("''"), row)))
    rows = database.read(sa.select(developer_id, hashed.label("hash")).group_by(developer_id))
    return dict(zip(rows["developer_id"], rows["hash"]))


def changed_developers(database: Database, inputs: Mapping[str, str]) -> list[str]:
    """Developers whose evidence was computed from other inputs, or never, or is not all there; sorted."""
    wholes, ledger = developer_evidence, skill_evidence
    rows = (
        sa.select(ledger.c.developer_id, sa.func.count().label("n"))
        .group_by(ledger.c.developer_id)
        .subquery()
    )
    # Rows that somebody deleted come back, too.
    known = database.read(
        sa.select(wholes.c.developer_id, wholes.c.inputs_sha256)
        .outerjoin_from(wholes, rows, rows.c.developer_id == wholes.c.developer_id)
        .where(wholes.c.evidence_count == sa.func.coalesce(rows.c.n, 0))
    )
    kept = dict(zip(known["developer_id"], known["inputs_sha256"]))
    return sorted(developer for developer, digest in inputs.items() if kept.get(developer) != digest)


def refresh_evidence(
    database: Database,
    developers: ContractRead,
    contracts: pd.DataFrame,
    vocabulary: Vocabulary,
    inputs: Mapping[str, str],
    *,
    as_of: dt.date,
) -> EvidenceRefresh:
    """Collect and write the evidence of developers whose inputs changed, and forget who is gone.

    Args:
        database: Where the ledger is.
        developers: `marketplace.developers`; rows of those set aside stay as they are.
        contracts: `marketplace.contracts`.
        vocabulary: Spellings.
        inputs: What `evidence_inputs` gave for them.
        as_of: Day (UTC) for which the rows hold.
    """
    due = changed_developers(database, inputs)
    counts = _forget(database, developers)
    for part in in_parts(due):
        rows = developers.rows[developers.rows["developer_id"].isin(part)]
        repositories = tables.developer_repositories
        work = database.read(sa.select(repositories).where(is_among(repositories.c.developer_id, part)))
        evidence = collect_evidence(
            work, rows, contracts, _read_texts(database, part), vocabulary, as_of=as_of
        )
        counts += _write(database, evidence, part, inputs)
    return EvidenceRefresh(counts, len(due))


def _read_texts(database: Database, developer_ids: Sequence[str]) -> pd.DataFrame:
    """Skills that the developers' texts show, with `TEXT_COLUMNS`."""
    table = developer_text_skills
    rows = database.read(
        sa.select(
            table.c.developer_id,
            table.c.skill_id,
            table.c.source,
            table.c.repository,
            table.c.evidence.label("quote"),
        )
        .where(is_among(table.c.developer_id, developer_ids))
        .order_by(*table.primary_key.columns)
    )
    return rows[list(TEXT_COLUMNS)]


def _write(
    database: Database, evidence: Evidence, developer_ids: Sequence[str], inputs: Mapping[str, str]
) -> WriteCounts:
    wholes = evidence.wholes.assign(inputs_sha256=evidence.wholes["developer_id"].map(dict(inputs)))
    with database.transaction() as connection:
        counts = database.upsert(
            skill_evidence,
            evidence.ledger,
            delete_missing=is_among(skill_evidence.c.developer_id, developer_ids),
            connection=connection,
        )
        database.upsert(developer_evidence, wholes, connection=connection)
    return counts


def _forget(database: Database, developers: ContractRead) -> WriteCounts:
    with database.transaction() as connection:
        deleted = [
            connection.execute(
                sa.delete(table).where(is_not_among(table.c.developer_id, developers.present_keys))
            ).rowcount
            for table in (developer_evidence, skill_evidence)
        ]
    return WriteCounts(deleted=deleted[-1])


def read_evidence(
    database: Database, developer_ids: Sequence[str], *, with_reasons: bool = False
) -> Evidence:
    """The stored evidence of some developers.

    Args:
        database: Where the ledger is.
        developer_ids: The developers.
        with_reasons: Also read `quote` and `discounts`, which explain a row but do not count.
    """
    reasons = set() if with_reasons else {"quote", "discounts"}
    of_ledger, of_wholes = (
        database.read(
            sa.select(*(table.c[name] for name in columns if name not in reasons))
            .where(is_among(table.c.developer_id, developer_ids))
            .order_by(*table.primary_key.columns)
        )
        for table, columns in ((skill_evidence, LEDGER_COLUMNS), (developer_evidence, WHOLE_COLUMNS))
    )
    return Evidence(of_ledger, of_wholes)


def in_parts(developer_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Developers, as many at a time as memory should hold."""
    for start in range(0, len(developer_ids), DEVELOPERS_PER_COMMIT):
        yield developer_ids[start : start + DEVELOPERS_PER_COMMIT]
