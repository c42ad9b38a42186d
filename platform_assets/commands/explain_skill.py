"""`platform-assets explain skill`: finds the developer and the skill, and shows how the confidence comes about."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click
import sqlalchemy as sa
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from platform_assets.errors import PlatformError
from platform_assets.settings import Settings

if TYPE_CHECKING:
    from platform_assets.clients.database import Database
    from platform_assets.profiles.explanation import Explanation

_MOST_SUGGESTIONS = 5


class UnknownNameError(PlatformError):
    """There is no such developer or skill; the message names similar ones."""


def explain_skill(settings: Settings, *, developer: str, skill: str, as_json: bool) -> None:
    """Print how sure it is that a developer has a skill, and why.

    Args:
        settings: The settings.
        developer: Id of the developer in the marketplace.
        skill: Name of the skill, in any spelling that the vocabulary knows.
        as_json: Print JSON instead of tables.

    Raises:
        UnknownNameError: There is no such developer or skill, or the developer's evidence was not collected yet.
    """
    from platform_assets.resources import open_database

    with open_database(settings) as database:
        found = find_explanation(database, developer=developer, skill=skill)
        note = calibration_note(database)
    if as_json:
        click.echo(
            json.dumps({**dataclasses.asdict(found), "calibration": note}, default=str, allow_nan=False)
        )
    else:
        print_explanation(found, note, Console())


def find_explanation(database: Database, *, developer: str, skill: str) -> Explanation:
    """The explanation of one developer's confidence in one skill.

    Raises:
        UnknownNameError: There is no such developer or skill, or the developer's evidence was not collected yet.
    """
    from platform_assets.profiles.evidence_refresh import read_evidence
    from platform_assets.profiles.explanation import explain_confidence
    from platform_assets.profiles.forecasts import model_in_use
    from platform_assets.profiles.vocabulary_store import read_vocabulary

    _require_developer(database, developer)
    evidence = read_evidence(database, [developer], with_reasons=True)
    if evidence.wholes.empty:
        raise UnknownNameError(
            f"No evidence has been collected yet for the developer {developer!r}: `platform-assets run` does so, or the "
            "asset `skill_evidence`. If it has run, the developer's row is set aside (`platform-assets checks --failed`)."
        )
    vocabulary = read_vocabulary(database)
    skill_id = skill if skill in vocabulary.by_id else vocabulary.resolve(skill)
    if skill_id is None:
        raise UnknownNameError(
            f"There is no skill {skill!r} in the vocabulary{_suggestions(skill, [s.name for s in vocabulary.skills])}."
        )
    return explain_confidence(
        evidence, skill_id, vocabulary.by_id[skill_id].name, model=model_in_use(database)
    )


def _require_developer(database: Database, developer: str) -> None:
    from platform_assets.tables import marketplace

    column = marketplace.developers.c.developer_id
    if database.read(sa.select(column).where(column == developer)).empty:
        ids = database.read(sa.select(column).order_by(column))["developer_id"]
        raise UnknownNameError(f"There is no developer {developer!r}{_suggestions(developer, ids)}.")


def _suggestions(name: str, known: Iterable[str]) -> str:
    by_fold = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold(), by_fold, n=_MOST_SUGGESTIONS, cutoff=0.6)
    return f"; there are {', '.join(repr(by_fold[each]) for each in near)}" if near else ""


def calibration_note(database: Database) -> str:
    """How far confidences have come true so far, in one sentence."""
    from platform_assets.tables.skill_evidence import confidence_measurements

    table = confidence_measurements
    latest = database.read(sa.select(table).order_by(table.c.measured_on.desc()).limit(1))
    if latest.empty:
        return (
            "The model was fitted on public git histories; no forecasts of this marketplace have come of age yet "
            "(365 days), so it is not evaluated here."
        )
    row = latest.iloc[0]
    return (
        f"Of {row['forecasts_count']:,} forecasts that have come of age, {row['used_ratio']:.0%} came true: calibration "
        f"error {row['ece']:.3f} (chance alone: up to {row['ece_reference_high']:.3f}), Brier score {row['brier']:.3f}."
    )


def print_explanation(found: Explanation, note: str, console: Console) -> None:
    """Two tables: the pieces of evidence, and the parts of the log-odds."""
    title = f"{escape(found.skill_name)} of {escape(found.developer_id)}, as of {found.as_of}"
    if not found.evidence:
        console.print(
            f"[bold]{title}[/bold]: nothing supports it, neither commits, claims, texts nor contracts."
        )
        return
    console.print(_evidence_table(found, title))
    if found.confidence is None:
        console.print(
            "Nothing that counts supports it: everything above is discounted to nothing or next to nothing."
        )
        return
    console.print(_parts_table(found))
    console.print(
        "It holds if the developer stays active: 3 commits of any kind in the 365 days after.",
        highlight=False,
    )
    console.print(f"{escape(note)} Model {found.model_id}.", highlight=False)


def _evidence_table(found: Explanation, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("source", "reference", "said"):
        table.add_column(name, overflow="fold")
    for name in ("share", "commits", "age"):
        table.add_column(name, justify="right")
    table.add_column("discounts", overflow="fold")
    table.add_column("weight", justify="right")
    for piece in found.evidence:
        table.add_row(
            piece.source,
            escape(piece.reference),
            escape(piece.quote or ""),
            "" if piece.share is None else f"{piece.share:.0%}",
            "" if piece.commits_count is None else f"{piece.commits_count:,}",
            "" if piece.age_days is None else f"{piece.age_days:,} d",
            ", ".join(f"{name} × {factor:.2g}" for name, factor in piece.discounts.items()),
            f"{piece.weight:.2f}",
            style=None if piece.weight > 0 else "dim",
        )
    return table


def _parts_table(found: Explanation) -> Table:
    table = Table(show_footer=True)
    table.add_column("part of the log-odds", footer=f"confidence {found.confidence:.3f}")
    table.add_column("why", overflow="fold", footer="sum")
    table.add_column("adds", justify="right", footer=f"{found.log_odds:+.3f}")
    for part in found.parts:
        table.add_row(escape(part.name), escape(part.meaning), f"{part.log_odds:+.3f}")
    return table
