"""The prose of the generated marketplace: bios, project postings, repository descriptions, commit subjects.

Sentences are put together from parts, so that the same thing is said in many ways. No decisions on who can do what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from platform_assets.sandbox.generator.dice import Dice
from platform_assets.sandbox.generator.skills import SKILLS, Archetype

_BIO_OPENINGS = (
    "{title} with {years} years behind me.",
    "{title}. {years} years, mostly remote.",
    "I am a {title_in_text} who likes small, well-tested changes.",
    "{title}, freelancing since {since}.",
    "Freelance {title_in_text}.",
    "I help teams ship. {title}, {years}+ years.",
)
_BIO_MIDDLES = (
    "I work with {skills} every day.",
    "Most of my time goes into {skills}.",
    "My tools are {skills}.",
    "At home in {skills}; curious about the rest.",
    "Lately: {skills}.",
    "{skills} – from first sketch to production.",
)
_BIO_CLOSINGS = (
    "I have built a {system} and a {other_system}.",
    "My last project was a {system}.",
    "I write documentation, too.",
    "Happy to pair, happy to review.",
    "I prefer long projects to quick ones.",
    "Open to part-time work.",
    "🚲 ☕ and the occasional talk.",
    "Disponible à temps partiel.",
    "Ich spreche auch Deutsch.",
    "日本語も少し話せます。",
)

_COMPANY_BUSINESS = {
    "Works": "makes tools for workshops and small factories",
    "Logistics": "moves parcels for small shops in three countries",
    "Clinics": "runs a dozen outpatient clinics",
    "Retail": "sells furniture and tableware online",
    "Energy": "operates solar parks and home batteries",
    "Foods": "supplies restaurants with produce",
    "Mobility": "rents out bicycles and small electric vans",
    "Studios": "produces exhibitions and learning games",
    "Insurance": "insures freelancers and small companies",
    "Labs": "analyses water and soil samples",
    "Schools": "teaches languages in evening classes",
    "Farms": "plans planting and irrigation for farmers",
    "Media": "publishes trade magazines",
    "Freight": "books container freight for importers",
    "Homes": "manages rented flats for their owners",
    "Travel": "arranges walking and cycling tours",
}
_NEEDS = (
    "We are looking for a {title_in_text} to build our {system}.",
    "Our {system} has outgrown its first version and needs a {title_in_text} to take it further.",
    "We want to replace our {system} step by step, without a day of downtime.",
    "A {title_in_text} who has built a {system} before would be ideal.",
    "The job is to design and build a {system} together with our small team.",
)
_STACKS = (
    "It is mostly {first}, with {rest} around it.",
    "You should know {first} well and have worked with {rest}.",
    "We use {first} together with {rest}, and would like to keep it that way.",
    "Solid knowledge of {first} is a must; {rest} will be needed as well.",
    "Our stack: {first} first of all, then {rest}.",
)
_STACKS_OF_ONE = (
    "It is all {first}.",
    "You should know {first} well.",
    "Everything is {first}, and should stay so.",
)
_DETAILS = (
    "First on the list are the {part} and the {other_part}.",
    "Today the {part} is our weakest point.",
    "We know that the {part} needs care, and expect an honest opinion on the {other_part}.",
    "Much of the work will be around the {part}.",
    "There is a test suite, but the {part} is not covered by it.",
)
_WISHES = (
    "Experience with {skill} is welcome.",
    "{skill} would be a plus.",
    "It helps if you know {skill}.",
    "Nice to have: {skill}.",
)
_WAYS = (
    "You would work with two of our developers, mostly in writing, with one call a week.",
    "We expect about {hours} hours a week and a short written report on Fridays.",
    "Reviews are done by our own team; merge requests should stay small.",
    "The first milestone is due six weeks after the start.",
    "Documentation and a handover at the end are part of the job.",
    "Working hours are yours to choose as long as we overlap for a few hours.",
)
_TITLES = (
    "{Title} for a {system}",
    "{Title} needed: {system}",
    "{First}: {system}",
    "Build our {system}",
    "Help with a {system} ({first})",
    "{Title}, {first}",
)

_REPOSITORY_KINDS = (
    "kit", "tools", "service", "lab", "demo", "client", "server", "notes", "core", "plugin", "utils", "playground",
    "template", "cli", "app", "api", "bench", "starter",
)  # fmt: skip
_REPOSITORY_DESCRIPTIONS = (
    "{System} built with {skills}",
    "A small {system} in {skills}",
    "{skills} {kind} for a {system}",
    "Experiments with {skills}",
    "Reusable {part} for {skills}",
    "{Part} done right, for {skills}",
    "Sources of our {system} ({skills})",
)

_SUBJECTS = (
    "Add {part}",
    "Fix {part}",
    "Fix {part} when {condition}",
    "Rework {part}",
    "Test {part}",
    "Document {part}",
    "Remove unused {part}",
    "Simplify {part} and {other_part}",
    "{skill}: {part}",
    "feat: {part}",
    "fix: {part} with {trouble}",
    "fix({topic}): {part}",
    "chore: update {skill}",
    "refactor({topic}): split {part}",
    "Bump {topic} from {version} to {next_version}",
    "Speed up {part}",
    "Make {part} configurable",
    "Handle {trouble} in {part}",
    "Use {skill} for {part}",
    "WIP {part}",
    "Review comments on {part}",
    "Revert \"Add {part}\"",
    "Release {next_version}",
)  # fmt: skip
_CONDITIONS = (
    "input is empty", "the clock changes", "two requests race", "a value is missing", "the disk is full", "names hold accents",
    "the connection drops", "lists are long", "running on Windows", "the cache is cold", "a retry comes late",
)  # fmt: skip
_TROUBLES = (
    "empty input", "daylight saving", "racing requests", "missing values", "a full disk", "accented names", "dropped connections",
    "long lists", "Windows paths", "a cold cache", "late retries",
)  # fmt: skip


@dataclass(frozen=True)
class ProjectText:
    """What a client posts: title and description."""

    title: str
    description: str


def write_bio(
    dice: Dice, archetype: Archetype, skills: Sequence[str], *, years_count: int, anchor_year: int
) -> str:
    """One to three sentences that a developer says of themselves; names some of their skills."""
    system, other_system = dice.sample(archetype.systems, 2)
    sentences = [dice.pick(_BIO_OPENINGS)]
    if skills:
        sentences.append(dice.pick(_BIO_MIDDLES))
    if dice.chance(0.6):
        sentences.append(dice.pick(_BIO_CLOSINGS))
    text = " ".join(sentences).format(
        title=archetype.title,
        title_in_text=_in_text(archetype.title),
        years=years_count,
        since=anchor_year - years_count,
        skills=_enumerate(dice.sample(skills, dice.integer(2, 4))),
        system=system,
        other_system=other_system,
    )
    return _with_articles(text)


def write_project(
    dice: Dice,
    archetype: Archetype,
    *,
    company: str,
    system: str,
    skills: Sequence[str],
    wishes: Sequence[str],
    hours_per_week: int,
) -> ProjectText:
    """A posting of several sentences that names the skills, the most important first, in natural prose."""
    part, other_part = dice.sample(archetype.parts, 2)
    first, rest = skills[0], skills[1:]
    sentences = [
        f"{company} {_COMPANY_BUSINESS[company.rpartition(' ')[2]]}.",
        dice.pick(_NEEDS),
        dice.pick(_STACKS if rest else _STACKS_OF_ONE),
        dice.pick(_DETAILS),
        *(dice.pick(_WISHES).format(skill=wish) for wish in wishes),
        *dice.sample(_WAYS, dice.integer(1, 2)),
    ]
    values = {
        "Title": archetype.title,
        "title_in_text": _in_text(archetype.title),
        "system": system,
        "first": first,
        "First": first,
        "rest": _enumerate(rest),
        "part": part,
        "other_part": other_part,
        "hours": hours_per_week,
    }
    description = _with_articles(" ".join(sentences).format(**values))
    return ProjectText(title=_with_articles(dice.pick(_TITLES).format(**values)), description=description)


def name_repository(dice: Dice, archetype: Archetype, skill: str) -> str:
    """A repository's name, such as `booking-api` or `rust-playground`."""
    words = dice.pick((dice.pick(archetype.systems), dice.pick(archetype.parts), SKILLS[skill].topic))
    stem = "-".join(words.lower().split()[-2:]).replace("/", "-").replace("+", "plus")
    return stem if dice.chance(0.35) else f"{stem}-{dice.pick(_REPOSITORY_KINDS)}"


def describe_repository(dice: Dice, archetype: Archetype, skills: Sequence[str]) -> str:
    """A repository's one-line description."""
    system, part = dice.pick(archetype.systems), dice.pick(archetype.parts)
    text = dice.pick(_REPOSITORY_DESCRIPTIONS).format(
        System=_capitalize(system),
        system=system,
        Part=_capitalize(part),
        part=part,
        kind=dice.pick(_REPOSITORY_KINDS),
        skills=_enumerate(skills[:2]),
    )
    return _with_articles(text)


def write_subjects(dice: Dice, archetype: Archetype, skills: Sequence[str], *, count: int) -> tuple[str, ...]:
    """First lines of commits, newest first."""
    subjects = []
    for _ in range(count):
        skill = dice.pick(skills)
        major, minor = dice.integer(0, 6), dice.integer(0, 14)
        subjects.append(
            dice.pick(_SUBJECTS).format(
                part=dice.pick(archetype.parts),
                other_part=dice.pick(archetype.parts),
                condition=dice.pick(_CONDITIONS),
                trouble=dice.pick(_TROUBLES),
                skill=skill,
                topic=SKILLS[skill].topic,
                version=f"{major}.{minor}.{dice.integer(0, 9)}",
                next_version=f"{major}.{minor + 1}.0",
            )
        )
    return tuple(subjects)


def _enumerate(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def _capitalize(text: str) -> str:
    return text[0].upper() + text[1:]


def _in_text(title: str) -> str:
    """The title within a sentence: `Data engineer` becomes `data engineer`, `Python …`, `.NET …` and `iOS …` stay."""
    first = title.split()[0]
    return title if first in SKILLS or first == "PHP" else title[0].lower() + title[1:]


def _with_articles(text: str) -> str:
    """`a` before a vowel becomes `an`."""
    words = text.split(" ")
    for at, word in enumerate(words[:-1]):
        if word in {"a", "A"} and words[at + 1][:1] in "aeioAEIO":
            words[at] = word + "n"
    return " ".join(words)
