"""Which open alert is the cause of another: what depends on what, and which problem came first. Pure.

Reading the asset graph is `topology.py`'s business; what follows for those who are told, `upkeep.py`'s.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from platform_assets.monitoring.alerting.rules import CAUSE_GRACE
from platform_assets.monitoring.alerting.severity import SEVERITIES, Severity, rank

KIND_OF_SERVICE = {
    "postgres": "postgres",
    "github": "github",
    "gemini": "gemini",
    "stripe": "stripe",
    "neo4j": "neo4j",
    "embedder": "huggingface",
}
"""Services, with the kind of asset that uses each."""

PROCESS_SOURCE = "process"
"""Source of the alerts on supervised processes that ended or hung."""

SERVICES_OF_PROCESS = {
    "postgres": ("postgres",),
    "local_apis": ("github", "stripe", "gemini"),
    "daemon": ("dagster_daemons",),
    "code_server": ("code_location",),
}
"""Supervised processes, with the services that each provides."""

_LAYERS = {"asset_check": 0, "run": 1, "service": 2, PROCESS_SOURCE: 3}
"""Sources of alerts that can be each other's causes: a process takes its service with it, a service makes runs fail, and a
failed run leaves checks broken."""

_DEEPEST_FIRST = sorted(_LAYERS, key=_LAYERS.__getitem__, reverse=True)

_KEPT = 2
"""Candidates for a cause that are kept of each kind: the second one is for the first itself."""


@dataclass(frozen=True)
class Topology:
    """What depends on what.

    Attributes:
        parents: Of each asset, those that it is made from.
        kinds: Of each asset, what it uses.
    """

    parents: Mapping[str, frozenset[str]]
    kinds: Mapping[str, frozenset[str]]

    @cached_property
    def _children(self) -> dict[str, set[str]]:
        children: dict[str, set[str]] = defaultdict(set)
        for asset, parents in self.parents.items():
            for parent in parents:
                children[parent].add(asset)
        return children

    def downstream(self, assets: Iterable[str]) -> frozenset[str]:
        """Every asset that is made from one of these, at any distance."""
        found: set[str] = set()
        waiting = list(assets)
        while waiting:
            new = self._children.get(waiting.pop(), set()) - found
            found |= new
            waiting += new
        return frozenset(found)

    def assets_of_service(self, service: str) -> tuple[str, ...]:
        """The assets that use a service, by name; none for a service that no asset uses."""
        kind = KIND_OF_SERVICE.get(service)
        return tuple(sorted(asset for asset, kinds in self.kinds.items() if kind in kinds))


@dataclass(frozen=True)
class OpenProblem:
    """What the search for causes looks at in an open alert.

    Attributes:
        alert_id: The alert.
        source: What raised it.
        severity: How bad it is.
        assets: What it is about.
        first_seen_at: When it began.
        is_there: Whether the problem is there now; a flapping one may be away.
        services: The service that is not well, or those that a process no longer provides; of other problems none.
    """

    alert_id: int
    source: str
    severity: Severity
    assets: tuple[str, ...]
    first_seen_at: dt.datetime
    is_there: bool = True
    services: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[dt.datetime, int]:
        """Which of two problems came first."""
        return self.first_seen_at, self.alert_id


def find_causes(problems: Sequence[OpenProblem], topology: Topology) -> dict[int, int]:
    """Find for each alert the open one that is its cause, if there is one.

    A cause lies upstream: a process of the services that it provides, a service of what uses it, a run of the checks on what it should have written, and each of
    them, a broken check too, of what is made from its assets. It began before or about then. Of its own kind it must be at
    least as severe, since a bad figure does not explain a worse one further down; of a deeper kind it is the cause
    whatever was thought of it, see `worst_effects`. Of several, the deepest counts, and of these the earliest. A check
    is never the cause of a failed run: the run says itself why it failed.

    Returns:
        Ids of the alerts that have a cause, with its id. No chain of causes comes back to its beginning.
    """
    # Few alerts per asset can be the best cause of anything, so that thousands of open ones cost no more than one pass.
    on_asset = _Candidates()
    upstream_of = _Candidates()
    on_service = _Candidates()
    for problem in sorted(problems, key=lambda each: each.order):
        if problem.source in _LAYERS and problem.is_there:
            on_asset.add(problem, problem.assets)
            upstream_of.add(problem, topology.downstream(problem.assets))
            on_service.add(problem, problem.services)
    causes = {}
    for problem in problems:
        cause = _cause_of(problem, on_asset, upstream_of, on_service)
        if cause is not None:
            causes[problem.alert_id] = cause.alert_id
    return causes


def worst_effects(problems: Sequence[OpenProblem], causes: Mapping[int, int]) -> dict[int, Severity]:
    """The severity of the worst that each cause brings about: no less severe is the cause itself.

    Args:
        problems: Every open alert.
        causes: Ids of those that have a cause, with its id.
    """
    worst: dict[int, Severity] = {}
    for problem in problems:
        cause, seen = causes.get(problem.alert_id), problem.severity
        while cause is not None:
            worst[cause] = max(worst.get(cause, seen), seen, key=rank)
            cause = causes.get(cause)
    return worst


class _Candidates:
    """The earliest problems of each layer and severity that bear on an asset or a service."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str, str], list[OpenProblem]] = defaultdict(list)

    def add(self, problem: OpenProblem, names: Iterable[str]) -> None:
        for name in names:
            kept = self._of[name, problem.source, problem.severity]
            if len(kept) < _KEPT:
                kept.append(problem)

    def find(self, names: Iterable[str], source: str, severity: str) -> Iterable[OpenProblem]:
        for name in names:
            yield from self._of.get((name, source, severity), ())


def _cause_of(
    problem: OpenProblem, on_asset: _Candidates, upstream_of: _Candidates, on_service: _Candidates
) -> OpenProblem | None:
    layer = _LAYERS.get(problem.source)
    if layer is None:
        return None
    for source in _DEEPEST_FIRST:
        severities = SEVERITIES
        if problem.source == "service":
            # The assets of one service use others, too: only the process behind it explains it.
            places = [(on_service, problem.services)] if source == PROCESS_SOURCE else []
        elif _LAYERS[source] > layer:
            places = [(on_asset, problem.assets), (upstream_of, problem.assets)]
        elif source == problem.source != PROCESS_SOURCE:
            places, severities = [(upstream_of, problem.assets)], SEVERITIES[rank(problem.severity) :]
        else:
            places = []
        candidates = [
            candidate
            for place, names in places
            for severity in severities
            for candidate in place.find(names, source, severity)
            if _can_cause(candidate, problem)
        ]
        if candidates:
            return min(candidates, key=lambda each: each.order)
    return None


def _can_cause(candidate: OpenProblem, problem: OpenProblem) -> bool:
    if candidate.alert_id == problem.alert_id:
        return False
    if candidate.source == problem.source == "run":
        # Two runs may each write what the other reads; only one of them can have been first.
        return candidate.order < problem.order
    return candidate.first_seen_at <= problem.first_seen_at + CAUSE_GRACE
