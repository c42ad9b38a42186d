"""`platform-assets skills`: fills the vocabulary and the labelled samples from files. Thin commands; imports are theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from platform_assets.settings import load_settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from platform_assets.clients.quarantine import BadRow

_SHOWN = 5

_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")


@click.group()
def skills() -> None:
    """Fill the skill vocabulary and the labelled samples from files of your own."""


@skills.command("import")
@_file
@click.option(
    "--format",
    "format_",
    type=click.Choice(["esco", "onet", "topics", "csv"]),
    required=True,
    help="esco: ESCO's skills_en.csv. onet: O*NET's technology skills. topics: GitHub's topics. csv: your own, with the "
    "column name, and if you like kind and aliases parted by |.",
)
@click.option("--source", help="Name under which the rows are kept; by default the format's.")
@_dry_run
def import_command(file: Path, format_: str, source: str | None, dry_run: bool) -> None:
    """Add the skills and spellings of FILE (CSV, may be .gz) to the vocabulary.

    What the vocabulary knows stays as it is, so the same file can be imported again. Rows that name no skill are set
    aside and told. Texts are read again for the new skills by the next runs.
    """
    from platform_assets.profiles.taxonomy_files import read_skills
    from platform_assets.profiles.taxonomy_import import plan_skills
    from platform_assets.profiles.vocabulary import PACKAGED
    from platform_assets.profiles.vocabulary_growth import with_release
    from platform_assets.profiles.vocabulary_store import read_vocabulary
    from platform_assets.resources import open_database
    from platform_assets.tables import platform as tables

    source = source or format_
    if source in (PACKAGED, "declared", "github"):
        raise click.UsageError(f"--source {source} is a name that the platform itself uses; choose another.")
    with open_database(load_settings()) as database:
        # As it will be after the next run.
        known = with_release(read_vocabulary(database))
        with _progress(file) as wrap:
            plan = plan_skills(read_skills(file, format_, wrap=wrap), known, source=source)
        if not dry_run:
            with database.transaction() as connection:
                database.upsert(tables.skills, plan.skills, connection=connection)
                database.upsert(tables.skill_aliases, plan.aliases, connection=connection)
                _set_aside(connection, file, plan.bad_rows)
    _print_counts(
        f"{file.name}{' (dry run: nothing was written)' if dry_run else ''}",
        {
            "rows": plan.rows_count,
            "skills new": len(plan.skills),
            "skills known": plan.known_count,
            "skills named before in the file": plan.repeated_count,
            "spellings new": len(plan.aliases),
            "spellings of another skill, left to it": len(plan.taken_aliases),
            "rows set aside": len(plan.bad_rows),
        },
    )
    _print_examples("Spelling left to another skill", (f"{a} → {b}" for a, b in plan.taken_aliases.items()))
    _print_bad_rows(plan.bad_rows)


@skills.group()
def labels() -> None:
    """Texts that a person has labelled with their skills, on which the extractor's accuracy is measured."""


@labels.command("import")
@_file
@_dry_run
def import_labels_command(file: Path, dry_run: bool) -> None:
    """Add the labelled samples of FILE (.jsonl or .csv, may be .gz).

    A line of JSON is {"text": "…", "skills": ["Python", …]}; a CSV has the columns text and skills, parted by |. Both may
    have source, and split: test (the accuracy is measured on it; the default) or train (kept for tuning). A text that is
    there already gets the new labels. The next refresh of project_requirements measures the accuracy.
    """
    from platform_assets.profiles.taxonomy_files import read_samples
    from platform_assets.profiles.taxonomy_import import plan_samples
    from platform_assets.profiles.vocabulary_growth import with_release
    from platform_assets.profiles.vocabulary_store import read_vocabulary
    from platform_assets.resources import open_database
    from platform_assets.tables.skill_texts import labelled_samples

    with open_database(load_settings()) as database:
        # As it will be after the next run.
        known = with_release(read_vocabulary(database))
        with _progress(file) as wrap:
            plan = plan_samples(read_samples(file, wrap=wrap), known)
        written = 0
        if not dry_run:
            with database.transaction() as connection:
                written = database.upsert(labelled_samples, plan.samples, connection=connection).written
                _set_aside(connection, file, plan.bad_rows)
    _print_counts(
        f"{file.name}{' (dry run: nothing was written)' if dry_run else ''}",
        {
            "rows": plan.rows_count,
            "distinct samples": len(plan.samples),
            "samples written": written,
            "labels that the vocabulary lacks": len(plan.unknown_labels),
            "rows set aside": len(plan.bad_rows),
        },
    )
    _print_examples(
        "Label that the vocabulary lacks", (f"{label} ({n})" for label, n in plan.unknown_labels.items())
    )
    _print_bad_rows(plan.bad_rows)


@contextmanager
def _progress(file: Path) -> Iterator[Callable[[BinaryIO], BinaryIO]]:
    """Shows on a terminal how much of the file was read; gives what wraps the open file."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:

        def wrap(opened: BinaryIO) -> BinaryIO:
            return progress.wrap_file(opened, total=file.stat().st_size, description=f"Reading {file.name}")

        yield wrap


def _set_aside(connection: Connection, file: Path, bad_rows: Sequence[BadRow]) -> None:
    from platform_assets.clients.database import write_quarantine

    write_quarantine(connection, f"skills import {file.name}", bad_rows)


def _print_counts(title: str, counts: Mapping[str, int]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    click.echo(title)
    Console().print(table)


def _print_bad_rows(bad_rows: Sequence[BadRow]) -> None:
    _print_examples("Row set aside", (f"{row.row_key}: {row.reason}" for row in bad_rows))


def _print_examples(what: str, texts: Iterable[str]) -> None:
    shown = list(texts)
    for text in shown[:_SHOWN]:
        click.echo(f"{what}: {''.join(char if char.isprintable() else ' ' for char in text)}")
    if len(shown) > _SHOWN:
        click.echo(f"… and {len(shown) - _SHOWN:,} more")
