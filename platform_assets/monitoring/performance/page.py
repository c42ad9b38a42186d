"""The performance report as a page: Markdown for the UI, HTML for a browser, and the files of both. No figures are made here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from platform_assets.monitoring.performance.advice import Advice, give_advice
from platform_assets.monitoring.performance.reading import Figures
from platform_assets.monitoring.performance.sections import Section, TokenPrice, build_sections, headline

TEMPLATES = Path(__file__).parent / "templates"

NOTHING_TO_DO = "Nothing: the figures ask for no action."


@dataclass(frozen=True)
class Bar:
    """Runs that ended in an hour, as heights from 0 to 1."""

    hour: dt.datetime
    runs_count: int
    failed_count: int
    height: float
    failed_height: float


@dataclass(frozen=True)
class Page:
    """The report, in words.

    Attributes:
        since: Start of the window (UTC).
        until: Its end.
        headline: How the platform stands.
        advice: What to do, the most urgent first.
        sections: The rest, in order.
        bars: Runs by hour.
    """

    since: dt.datetime
    until: dt.datetime
    headline: str
    advice: tuple[Advice, ...]
    sections: tuple[Section, ...]
    bars: tuple[Bar, ...]


def build_page(figures: Figures, *, price: TokenPrice | None) -> Page:
    """The report of some figures; `price` as in `build_sections`."""
    return Page(
        since=figures.since,
        until=figures.until,
        headline=headline(figures),
        advice=tuple(give_advice(figures)),
        sections=tuple(build_sections(figures, price=price)),
        bars=tuple(_bars(figures)),
    )


def _bars(figures: Figures) -> list[Bar]:
    hours = figures.hours
    most = int(hours["runs_count"].max()) if len(hours) else 0
    if not most:
        return []
    return [
        Bar(hour, int(runs), int(failed), runs / most, failed / most)
        for hour, runs, failed in zip(hours["hour"], hours["runs_count"], hours["failed_count"], strict=True)
    ]


def render_markdown(page: Page) -> str:
    """The report as Markdown; whatever comes from outside is shown as it is, never as markup."""
    lines = [
        "# Performance",
        f"{page.since:%Y-%m-%d %H:%M} to {page.until:%Y-%m-%d %H:%M} UTC. **{_plain(page.headline)}**",
        "## What to do",
        *(
            [f"- **{each.urgency}**: {_plain(each.text)} {_plain(each.because)}" for each in page.advice]
            or [NOTHING_TO_DO]
        ),
    ]
    for section in page.sections:
        lines += [f"## {section.title}", _plain(section.sentence)]
        if section.rows:
            lines.append(_table(section))
    return "\n\n".join(_joined(lines))


def _joined(lines: Sequence[str]) -> list[str]:
    """Neighbouring points of a list as one paragraph."""
    joined: list[str] = []
    for line in lines:
        if line.startswith("- ") and joined and joined[-1].startswith("- "):
            joined[-1] += f"\n{line}"
        else:
            joined.append(line)
    return joined


def _table(section: Section) -> str:
    head = " | ".join(column.name for column in section.columns)
    rule = "|".join("---:" if column.is_number else "---" for column in section.columns)
    rows = [" | ".join(_plain(cell) for cell in row) for row in section.rows]
    return "\n".join(f"| {row} |" if row is not rule else f"|{row}|" for row in [head, rule, *rows])


_MARKUP = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]<>|#"} | {"\n": " ", "\r": " "})


def _plain(text: str) -> str:
    return text.translate(_MARKUP)


def render_html(page: Page) -> str:
    """The report as one self-contained page: no script, nothing fetched."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("performance_report.html").render(page=page, nothing_to_do=NOTHING_TO_DO)


def write_files(page: Page, folder: Path) -> tuple[Path, Path]:
    """Write `performance.html` and `performance.md`, each replaced whole; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "performance.html", folder / "performance.md"
    for path, text in zip(paths, (render_html(page), render_markdown(page)), strict=True):
        draft = path.with_suffix(f"{path.suffix}.new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    return paths
