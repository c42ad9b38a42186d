"""Which bound holds: the release's, or the one that somebody has set in its place, with a reason and perhaps an end.

The release's stand in `thresholds.py` and its neighbours and are known here by name; overrides are rows of
`monitoring.benchmark_overrides`. What is measured is the checks' business. No Dagster here.
"""

from __future__ import annotations

import datetime as dt
import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

import sqlalchemy as sa

from platform_assets import monitoring_thresholds, payment_thresholds, recovery_thresholds, thresholds
from platform_assets.clients.database import Database
from platform_assets.errors import PlatformError
from platform_assets.tables.service_levels import benchmark_overrides
from platform_assets.thresholds import Override, Threshold

_MODULES = (thresholds, payment_thresholds, monitoring_thresholds, recovery_thresholds)

OBJECTIVES = "service_levels"
"""Prefix of the names of service levels' objectives."""

DECISIONS = frozenset(
    {
        "breaker_declined_ratio",
        "breaker_unknown_ratio",
        "poor_above",
        "published_churn_ratio",
        "published_coverage_ratio",
        "published_faulty_lists",
        "published_gini_rise",
        "service_degraded",
        "service_down",
        "service_replaced",
        "services_down",
    }
)
"""Numbers, and groups of them, by which work decides what is charged, published or called down. What a check says of such
a decision follows from it, so that none of them is overridden."""

_SHARES = ("ratio", "probability")
"""Units whose values lie between 0 and 1."""


class UnusableOverrideError(PlatformError):
    """An override that names no benchmark, or whose bound or end makes no sense; the message says what would."""


@cache
def catalogue() -> Mapping[str, Threshold]:
    """Every number of the release that a check or a service level compares with, by name.

    A constant `MATCH_COVERAGE_RATIO` is `match_coverage_ratio`; the members of `FRESHNESS_HOURS` are
    `freshness_hours.matches` and so on. A number that several constants share has the name of the first.
    """
    known: dict[int, tuple[str, Threshold]] = {}
    for module in _MODULES:
        for name, threshold in _named(vars(module)):
            known.setdefault(id(threshold), (name, threshold))
    return MappingProxyType(dict(known.values()))


def _named(constants: Mapping[str, object]) -> Iterator[tuple[str, Threshold]]:
    for constant, value in constants.items():
        members = value.items() if isinstance(value, Mapping) else ((None, value),)
        for member, threshold in members:
            if isinstance(threshold, Threshold):
                name = constant.lower()
                yield name if member is None else f"{name}.{member}", threshold


@cache
def _names() -> Mapping[int, str]:
    # By identity: two numbers may be equal in all they say, and still be overridden one by one.
    return {id(threshold): name for name, threshold in catalogue().items()}


def name_of(threshold: Threshold) -> str | None:
    """The name under which a number of the release is overridden; None for any other threshold."""
    return _names().get(id(threshold))


@dataclass(frozen=True)
class StandingOverride:
    """A bound that somebody has set, for now.

    Attributes:
        benchmark: Name of the number that it replaces.
        bound: The bound that holds instead.
        author: Who set it.
        reason: Why.
        since_at: From when it holds.
        until_at: When it ends by itself; None when it does not.
    """

    benchmark: str
    bound: float
    author: str
    reason: str
    since_at: dt.datetime
    until_at: dt.datetime | None


@dataclass(frozen=True)
class Bounds:
    """What holds at one moment: the release's bounds under the overrides that stand.

    Attributes:
        overrides: Those by name; names that the release does not know change nothing.
    """

    overrides: Mapping[str, StandingOverride]

    def of(self, threshold: Threshold) -> Threshold:
        """The threshold with the bound that holds, and with its override when that is not the release's."""
        override = self.overrides.get(name_of(threshold) or "")
        if override is None:
            return threshold
        told = Override(
            threshold.bound, override.author, override.reason, override.since_at, override.until_at
        )
        return replace(threshold, bound=override.bound, override=told)


def kind_of(benchmark: str) -> str:
    """What a number of the catalogue is for: `threshold` of a check, `objective` of a service level, or `decision`."""
    if benchmark.partition(".")[0] in DECISIONS:
        return "decision"
    return "objective" if benchmark.startswith(f"{OBJECTIVES}.") else "threshold"


def read_bounds(database: Database, *, now: dt.datetime) -> Bounds:
    """What holds now. An override that has ended, or not begun, changes nothing."""
    table = benchmark_overrides
    names = [column.name for column in table.columns if column.name in StandingOverride.__annotations__]
    with database.transaction() as connection:
        rows = connection.execute(
            sa.select(*(table.c[name] for name in names)).where(
                table.c.ended_at.is_(None),
                table.c.since_at <= now,
                sa.or_(table.c.until_at.is_(None), table.c.until_at > now),
            )
        ).mappings()
        return Bounds({row["benchmark"]: StandingOverride(**row) for row in rows})


def set_override(
    connection: sa.Connection,
    benchmark: str,
    bound: float,
    *,
    author: str,
    reason: str,
    now: dt.datetime,
    until_at: dt.datetime | None = None,
) -> None:
    """Let another bound hold from now on; one that was set before ends.

    Args:
        connection: The caller's transaction.
        benchmark: Name of the number, see `catalogue`.
        bound: The bound, in the number's unit.
        author: Who wants it.
        reason: Why.
        now: The present moment.
        until_at: When it ends by itself.

    Raises:
        UnusableOverrideError: The name is unknown, or bound, author, reason or end make no sense.
    """
    _require_usable(benchmark, bound, author=author, reason=reason, now=now, until_at=until_at)
    table = benchmark_overrides
    # Two people who set the same number at once come one after the other, and the later one holds.
    connection.execute(sa.text(f"LOCK TABLE {table.fullname} IN SHARE ROW EXCLUSIVE MODE"))
    end_override(connection, benchmark, author=author, now=now)
    connection.execute(
        sa.insert(table).values(
            benchmark=benchmark, bound=bound, author=author, reason=reason, since_at=now, until_at=until_at
        )
    )


def end_override(connection: sa.Connection, benchmark: str, *, author: str, now: dt.datetime) -> bool:
    """Let the release's bound hold again.

    Returns:
        Whether another one did; one whose time was over is put away as well, and is none.
    """
    table = benchmark_overrides
    ended = connection.execute(
        sa.update(table)
        .where(table.c.benchmark == benchmark, table.c.ended_at.is_(None))
        .values(ended_at=now, ended_by=author)
        .returning(table.c.until_at)
    ).all()
    return any(row.until_at is None or row.until_at > now for row in ended)


def require_overridden(connection: sa.Connection, benchmark: str) -> None:
    """Make sure that there is something to take back.

    Raises:
        UnusableOverrideError: Nobody has set another bound for this name, or the name is unknown.
    """
    table = benchmark_overrides
    standing = sa.select(table.c.override_id).where(
        table.c.benchmark == benchmark, table.c.ended_at.is_(None)
    )
    if connection.execute(standing).first() is None:
        require_known(benchmark)
        raise UnusableOverrideError(f"Nobody has overridden {benchmark}: the release's number holds.")


def require_known(benchmark: str) -> Threshold:
    """The number of this name.

    Raises:
        UnusableOverrideError: There is none; the message names those that are spelled alike.
    """
    known = catalogue()
    if benchmark not in known:
        alike = difflib.get_close_matches(benchmark, known, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(alike)}?" if alike else ""
        raise UnusableOverrideError(
            f"There is no benchmark {benchmark!r}.{hint} `platform-assets thresholds list` shows them all."
        )
    return known[benchmark]


def _require_usable(
    benchmark: str,
    bound: float,
    *,
    author: str,
    reason: str,
    now: dt.datetime,
    until_at: dt.datetime | None,
) -> None:
    threshold = require_known(benchmark)
    if kind_of(benchmark) == "decision":
        raise UnusableOverrideError(
            f"{benchmark} decides what is charged, published or called down, and is changed in the release alone."
        )
    if not math.isfinite(bound):
        raise UnusableOverrideError(f"{bound} is no bound; {benchmark} is a number of {threshold.unit}.")
    if threshold.unit in _SHARES and not 0 <= bound <= 1:
        raise UnusableOverrideError(
            f"{benchmark} is a {threshold.unit} from 0 to 1, and {bound:g} is not. Write 95 % as 0.95."
        )
    if kind_of(benchmark) == "objective" and not 0 < bound < 1:
        raise UnusableOverrideError(
            f"{benchmark} is an objective and must leave an error budget: give a ratio above 0 and below 1, such as 0.999."
        )
    if threshold.unit not in _SHARES and bound < 0 <= threshold.bound:
        raise UnusableOverrideError(f"{benchmark} is never below 0, so that {bound:g} is no bound.")
    if not author.strip() or not reason.strip():
        raise UnusableOverrideError(
            "An override needs an author and a reason that somebody else understands."
        )
    if not (author.isprintable() and reason.isprintable()):
        raise UnusableOverrideError(
            "Author and reason are one line of text each, without control characters."
        )
    if until_at is not None and until_at <= now:
        raise UnusableOverrideError(f"{until_at:%Y-%m-%d %H:%M} UTC is over; give an end that is to come.")
