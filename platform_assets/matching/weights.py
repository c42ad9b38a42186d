"""What the terms of a match's score are worth: numbers with their reasons, shipped as `weights.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources

import numpy as np


@dataclass(frozen=True)
class Weight:
    """A number of the score and why it is what it is."""

    value: float
    reason: str

    def __post_init__(self) -> None:
        if not (np.isfinite(self.value) and self.value >= 0):
            raise ValueError(f"A weight is finite and not negative: {self.value}")


@dataclass(frozen=True)
class Weights:
    """What each term is worth, in natural log-odds: its part of the score lies within ± its weight or between 0 and it.

    `title` and `breadth` go beyond: they are multiplied by up to `MAX_TITLE_RARITY` and by the log of a count.
    """

    skills: Weight
    meaning: Weight
    title: Weight
    breadth: Weight
    rate: Weight
    availability: Weight
    reputation: Weight
    recency: Weight

    def __post_init__(self) -> None:
        if not any(self.values().values()):
            raise ValueError("All weights are 0: every pair would score alike")

    def values(self) -> dict[str, float]:
        """Term → its weight."""
        return {field.name: getattr(self, field.name).value for field in fields(self)}

    @property
    def version(self) -> str:
        """SHA-256 of the values: scores under equal versions compare."""
        return hashlib.sha256(json.dumps(self.values(), sort_keys=True).encode()).hexdigest()


def _shipped_weights() -> Weights:
    text = resources.files("platform_assets.matching").joinpath("weights.json").read_text("utf-8")
    return Weights(**{term: Weight(**weight) for term, weight in json.loads(text)["terms"].items()})


DEFAULT_WEIGHTS = _shipped_weights()


def weights_from_values(values: Mapping[str, float], *, reason: str) -> Weights:
    """Weights with the given values and one reason; terms that are not named keep their default."""
    defaults = {field.name: getattr(DEFAULT_WEIGHTS, field.name) for field in fields(Weights)}
    return Weights(**(defaults | {name: Weight(value, reason) for name, value in values.items()}))
