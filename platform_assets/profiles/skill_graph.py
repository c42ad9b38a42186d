"""Which skills go together: developers' profiles → weighted edges. Pure; where the graph goes is `graph_projection`'s.

Raw co-occurrence only says which skills are common: half of all pairs would be with the most popular language. So a pair
is compared with what chance would give its two skills.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import numpy.typing as npt
import pandas as pd

MINIMUM_CONFIDENCE = 0.01
"""Below one in a hundred a profile's row is no evidence, and would only lengthen the sums."""

MINIMUM_DEVELOPERS = 3
"""Two developers with the same pair of skills may be colleagues; the third makes it a habit of the field."""

NEIGHBOURS = 25
"""Edges of one skill at most: more than anybody reads, and what keeps the graph's size linear in the vocabulary."""

_PRIOR = 0.5

Positions = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]

COLUMNS = ("skill_id_a", "skill_id_b", "developers_count", "weight", "as_of")


def skill_edges(
    profiles: pd.DataFrame,
    *,
    as_of: dt.date,
    minimum_developers: int = MINIMUM_DEVELOPERS,
    neighbours: int = NEIGHBOURS,
) -> pd.DataFrame:
    """Pairs of skills that occur together more often than chance would have it.

    With a confidence read as a probability, n_a is the expected number of developers who have skill a, O = Σ c_a·c_b that
    of those who have both, E = n_a·n_b / N what O would be if the two had nothing to do with each other, and N the number
    of developers. Then

        IC = log2((O + ½) / (E + ½)),   weight = IC / log2((N + ½) / (O + ½)).

    IC is pointwise mutual information, shrunk towards 0 where E is small: Norén, Hopstadius and Bate, "Shrinkage
    observed-to-expected ratios for robust and transparent large-scale pattern discovery" (2013). Dividing it by its
    largest possible value for this O follows Bouma, "Normalized (Pointwise) Mutual Information in Collocation Extraction"
    (2009): 0 is chance, 1 is never one without the other, and rare and common pairs compare. A skill that everybody has
    goes with every other as often as chance says, so that it gets no edge.

    Kept are pairs whose IC lies above 0 with 97.5 % probability (IC − 3.3·(O + ½)^−½ − 2·(O + ½)^−1½ > 0, same paper), which
    enough developers have, and in which each skill is among the other's strongest neighbours.

    Args:
        profiles: One row per `developer_id` and `skill_id`, with `confidence` from 0 to 1; in any order.
        as_of: The day the profiles hold for.
        minimum_developers: Developers who must have both.
        neighbours: Largest number of edges of one skill.

    Returns:
        `COLUMNS`, by ids; `skill_id_a` comes before `skill_id_b` by code points. The weight is rounded to 1e-4.
    """
    from scipy import sparse

    known = profiles.loc[
        profiles["confidence"] >= MINIMUM_CONFIDENCE, ["developer_id", "skill_id", "confidence"]
    ]
    # Sums of floats depend on their order.
    known = known.sort_values(["developer_id", "skill_id"])
    developers, developer_ids = pd.factorize(known["developer_id"])
    skills, skill_ids = pd.factorize(known["skill_id"], sort=True)
    if not len(known):
        nobody = np.empty(0, dtype=np.intp)
        return _edges(skill_ids, nobody, nobody, nobody, np.empty(0), as_of=as_of)
    shape = (len(developer_ids), len(skill_ids))
    confidences = sparse.csr_array((known["confidence"].to_numpy(), (developers, skills)), shape=shape)
    presences = sparse.csr_array((np.ones(len(known)), (developers, skills)), shape=shape)
    # No product of two confidences is 0, so that both have their entries in the same places.
    together = sparse.triu(confidences.T @ confidences, k=1, format="csr").sorted_indices().tocoo()
    counts = sparse.triu(presences.T @ presences, k=1, format="csr").sorted_indices().data.astype(np.int64)
    first, second, observed = together.row, together.col, together.data

    totals = confidences.sum(axis=0)
    expected = totals[first] * totals[second] / shape[0]
    information = np.log2((observed + _PRIOR) / (expected + _PRIOR))
    doubt = 3.3 * (observed + _PRIOR) ** -0.5 + 2 * (observed + _PRIOR) ** -1.5
    is_kept = (information > doubt) & (counts >= minimum_developers)
    first, second, counts = first[is_kept], second[is_kept], counts[is_kept]
    largest = np.log2((shape[0] + _PRIOR) / (observed[is_kept] + _PRIOR))
    weights = np.clip((information[is_kept] / largest).round(4), 1e-4, 1)
    is_near = _are_mutual_neighbours(first, second, weights, neighbours)
    return _edges(skill_ids, first[is_near], second[is_near], counts[is_near], weights[is_near], as_of=as_of)


def _are_mutual_neighbours(
    first: Positions, second: Positions, weights: Floats, neighbours: int
) -> npt.NDArray[np.bool_]:
    """Whether each of the two is among the other's strongest; equal weights go by the neighbour's id."""
    edges = np.arange(len(weights))
    directed = pd.DataFrame(
        {
            "edge": np.concatenate([edges, edges]),
            "skill": np.concatenate([first, second]),
            "neighbour": np.concatenate([second, first]),
            "weight": np.concatenate([weights, weights]),
        }
    ).sort_values(["skill", "weight", "neighbour"], ascending=[True, False, True])
    strongest = directed[directed.groupby("skill").cumcount() < neighbours]
    return np.asarray(np.bincount(strongest["edge"], minlength=len(weights)) == 2)


def _edges(
    skill_ids: pd.Index[str],
    first: Positions,
    second: Positions,
    counts: Positions,
    weights: Floats,
    *,
    as_of: dt.date,
) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "skill_id_a": pd.Series(skill_ids[first], dtype="str"),
            "skill_id_b": pd.Series(skill_ids[second], dtype="str"),
            "developers_count": counts.astype(np.int64),
            "weight": weights.astype(np.float64),
            "as_of": as_of,
        },
        columns=list(COLUMNS),
    )
    return frame.sort_values(["skill_id_a", "skill_id_b"], ignore_index=True)
