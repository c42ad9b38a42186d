"""Plots of the matching's analytics as Markdown that carries its own picture, for the Dagster UI. Pure.

What is shown is measured by `analytics`.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from platform_assets.matching.exposure import Floats
from platform_assets.matching.outcomes import FUNNEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _MUTED, _FIRST, _SECOND = "#1f2937", "#6b7280", "#2563eb", "#f59e0b"
_SKILLS_SHOWN = 12
_BINS = 24


def overview(measures: pd.DataFrame, *, scores: Floats, exposure: Floats, skill_names: dict[str, str]) -> str:
    """One picture of four: funnel, scores, who is seen, skills in demand.

    Args:
        measures: Rows of `platform.matching_analytics` of one day.
        scores: Scores of the published matches.
        exposure: How much each developer is seen.
        skill_names: Skill id → name.

    Returns:
        Markdown with an inline SVG; one line of text where a part has nothing to show.
    """
    # The figure alone, without pyplot: no state that threads would share.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # Letters as text keep the picture a tenth of the size, and searchable.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "platform_assets", "font.size": 9}):
        figure = Figure(figsize=(10, 6.4), layout="constrained")
        funnel, distribution, lorenz, skills = figure.subplots(2, 2).ravel()
        _draw_funnel(funnel, _segments(measures, "funnel_pairs"))
        _draw_scores(distribution, scores)
        _draw_lorenz(lorenz, exposure)
        _draw_skills(
            skills, _segments(measures, "skill_demand"), _segments(measures, "skill_supply"), skill_names
        )
        for axes in (funnel, distribution, lorenz, skills):
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(colors=_MUTED, labelcolor=_INK)
        picture = io.BytesIO()
        figure.savefig(picture, format="svg", metadata={"Date": None})
    data = base64.b64encode(picture.getvalue()).decode("ascii")
    return f"![Funnel, scores, exposure and skills in demand](data:image/svg+xml;base64,{data})"


def _segments(measures: pd.DataFrame, metric: str) -> dict[str, float]:
    rows = measures[measures["metric"] == metric]
    return dict(zip(rows["segment"], rows["value"]))


def _draw_funnel(axes: Axes, pairs: dict[str, float]) -> None:
    axes.set_title("Pairs by the step they reached")
    counts = [pairs.get(step, 0.0) for step in FUNNEL]
    if not any(counts):
        _say(axes, "No events yet")
        return
    bars = axes.barh(FUNNEL[::-1], counts[::-1], color=_FIRST)
    axes.bar_label(bars, labels=[f"{count:,.0f}" for count in counts[::-1]], padding=3, color=_INK)
    axes.margins(x=0.15)


def _draw_scores(axes: Axes, scores: Floats) -> None:
    axes.set_title("Scores of published matches")
    if not len(scores):
        _say(axes, "No matches yet")
        return
    axes.hist(scores, bins=_BINS, color=_FIRST)
    axes.axvline(float(np.median(scores)), color=_SECOND, label=f"median {np.median(scores):.2f}")
    axes.set_xlabel("score (log-odds)")
    axes.set_ylabel("matches")
    axes.legend(frameon=False)


def _draw_lorenz(axes: Axes, exposure: Floats) -> None:
    axes.set_title("Who is seen (Lorenz curve)")
    if not len(exposure) or exposure.sum() <= 0:
        _say(axes, "Nobody is shown yet")
        return
    seen = np.r_[0.0, np.cumsum(np.sort(exposure)) / exposure.sum()]
    people = np.linspace(0.0, 1.0, len(seen))
    # A hundred points draw the same line as a hundred thousand.
    at = np.linspace(0.0, 1.0, 101)
    axes.plot(at, np.interp(at, people, seen), color=_FIRST)
    axes.plot([0, 1], [0, 1], color=_MUTED, linestyle=":", linewidth=1)
    axes.set_xlabel("share of developers, least seen first")
    axes.set_ylabel("share of exposure")


def _draw_skills(
    axes: Axes, demand: dict[str, float], supply: dict[str, float], names: dict[str, str]
) -> None:
    axes.set_title("Skills most in demand, and developers for them")
    shown = sorted(demand, key=lambda skill: (-demand[skill], skill))[:_SKILLS_SHOWN][::-1]
    if not shown:
        _say(axes, "No project asks for anything yet")
        return
    rows = np.arange(len(shown))
    wanted, held = [demand[skill] for skill in shown], [supply.get(skill, 0.0) for skill in shown]
    axes.barh(rows + 0.2, wanted, height=0.4, color=_SECOND, label="projects")
    axes.barh(rows - 0.2, held, height=0.4, color=_FIRST, label="developers")
    axes.set_yticks(rows, [names.get(skill, skill) for skill in shown], parse_math=False)
    axes.legend(frameon=False)


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", color=_MUTED, transform=axes.transAxes)
    axes.set_axis_off()
