"""What makes work count for less than it shows: forks, copies, collections, generated code, bursts, bots.

Each rule is a named factor from 0 to 1, and factors multiply. What speaks for a skill shrinks by them; what it is
measured against does not, so that no discount ever raises a confidence. Pure; the ledger is `skill_evidence`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

Discounts = dict[str, float]
"""Name of a discount → its factor, below 1; empty when all of the work counts."""

LEFT_OUT = 0.0
SMALL_PART = 0.25

MAX_COMMITS_PER_DAY = 50
"""More own commits than this on each day of a repository's span count as this many. Of 1,428 contributors to public
projects none reached 17 a day; hundreds come from a script, an import of history or a rewrite."""

# How a description begins; further on it may speak of anything.
_MIRROR = re.compile(r"\W*(?:[\w-]+\s+){0,3}mirror of\b", re.IGNORECASE)
_COLLECTION = re.compile(
    r"\W*(?:[\w-]+\s+){0,2}(?:(?:curated|collected|awesome) list\b|list of awesome\b)", re.IGNORECASE
)
_COPIED_FOLDERS = frozenset(
    ("vendor", "vendored", "third-party", "third_party", "node_modules", "bower_components")
)
_COLLECTION_TOPICS = frozenset(("awesome-list", "awesome-lists", "curated-list"))
_SETTINGS_NAMES = frozenset(
    ("dotfiles", ".dotfiles", "dot-files", "dotfile", ".emacs.d", ".vim", "nvim-config")
)
_SITE_SUFFIXES = (".github.io", ".github.com")

GENERATED_LANGUAGES: Mapping[str, float] = {
    # GitHub weighs languages by bytes: a notebook holds its outputs, pages and style sheets come from tools and themes.
    "Jupyter Notebook": SMALL_PART,
    "HTML": 0.5,
    "CSS": 0.5,
    # Manual pages, plots and translations are written by programs.
    "Roff": SMALL_PART,
    "PostScript": LEFT_OUT,
    "Gettext Catalog": LEFT_OUT,
}
"""Language → what counts of its part of a repository; the rest is generated more often than written."""

_BOT_NAME = re.compile(r"\[bot\]$|[-_]bot$|^bot[-_]|[a-z0-9]Bot$", re.ASCII)
# Accounts of programs whose names do not say so by the pattern.
_BOTS = frozenset(
    """
    allcontributors azure-pipelines bors codecov-io codecov-commenter copybara-service coveralls dependabot
    dependabot-preview deepsource-autofix devin-ai-integration elasticmachine fossabot github-actions github-classroom
    gitbook-bot gitlocalize-app greenkeeper greenkeeperio-bot homu houndci-bot imgbot k8s-ci-robot k8s-triage-robot
    kibanamachine lgtm-com mend-bolt-for-github mergify netlify nixpkgs-merge-bot openshift-ci-robot
    openshift-merge-robot pre-commit-ci pyup-bot pytorchmergebot r-ryantm regro-cf-autotick-bot release-please renovate
    renovate-bot rust-highfive rustbot rust-timer scala-steward semantic-release-bot snyk-bot sonarcloud stale
    sweep-ai tensorflow-copybara tensorflower-gardener transifex-integration travis-ci vercel weblate web-flow
    whitesource-bolt-for-github
    """.split()  # noqa: SIM905  (a paragraph of names reads better than a column of them)
)


def is_bot(login: str | None) -> bool:
    """Whether a GitHub account is a program's, by a list and by its name.

    A name is a program's where `bot` stands apart: `[bot]`, `-bot`, `bot-`, `BrewTestBot`. People are called Abbot,
    Talbot or Cabot, so the bare ending says nothing.
    """
    if not login:
        return False
    name = login.strip()
    return name.casefold() in _BOTS or _BOT_NAME.search(name) is not None


def repository_discounts(
    repository: str,
    *,
    is_fork: bool,
    description: str | None,
    topics: Iterable[str],
    commits_count: float,
    span_days: int,
    by_bot: bool,
) -> Discounts:
    """What own work in one repository counts, whatever the skill.

    Args:
        repository: `owner/name`.
        is_fork: Whether GitHub calls it a fork.
        description: The repository's description.
        topics: Its topics.
        commits_count: Own commits.
        span_days: Days from the first to the last own commit, both included; at least 1.
        by_bot: Whether the account is a program's.
    """
    name = repository.rpartition("/")[2].casefold()
    about = description or ""
    tags = {topic.casefold() for topic in topics}
    found = {
        "fork": LEFT_OUT if is_fork else 1.0,
        "bot": LEFT_OUT if by_bot else 1.0,
        "mirror": LEFT_OUT if name == "mirror" or name.endswith("-mirror") or _MIRROR.match(about) else 1.0,
        "vendored": LEFT_OUT if name in _COPIED_FOLDERS else 1.0,
        # `awesome-…` alone is no sign: libraries are named so, too.
        "collection": LEFT_OUT
        if name == "awesome" or tags & _COLLECTION_TOPICS or _COLLECTION.match(about)
        else 1.0,
        "settings": SMALL_PART if name in _SETTINGS_NAMES else 1.0,
        "site": SMALL_PART if name.endswith(_SITE_SUFFIXES) else 1.0,
        "bursty": min(1.0, MAX_COMMITS_PER_DAY * span_days / commits_count) if commits_count > 0 else 1.0,
    }
    return {reason: factor for reason, factor in found.items() if factor < 1}


def language_discounts(language: str) -> Discounts:
    """What the part of a repository in one language counts."""
    factor = GENERATED_LANGUAGES.get(language, 1.0)
    return {"generated": factor} if factor < 1 else {}


def combined(discounts: Sequence[Discounts]) -> list[float]:
    """The product of each one's factors; 1 where there is none."""
    return [math.prod(each.values()) for each in discounts]
