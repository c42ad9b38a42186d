"""Reads from the asset graph what depends on what, as alerts need it. What follows from it is `causes.py`'s."""

from __future__ import annotations

from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from platform_assets.monitoring.alerting.causes import Topology


def read_topology(graph: AssetGraph) -> Topology:
    """What the assets are made from, and what they use."""
    nodes = {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}
    return Topology(
        parents={
            name: frozenset(parent.to_user_string() for parent in node.parent_keys)
            for name, node in nodes.items()
        },
        kinds={name: frozenset(node.kinds) for name, node in nodes.items()},
    )
