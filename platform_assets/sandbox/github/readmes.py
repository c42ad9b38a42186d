"""READMEs of the local GitHub's repositories, written from what is known of each; the same facts give the same text.

Most repositories have one, under one of the usual names. It is the one file that is served.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from graphql import GraphQLResolveInfo

from platform_assets.sandbox.github.connections import Source
from platform_assets.sandbox.github.store import Repository, node_id

_NAMES = ("README.md", "README.md", "README.md", "readme.md", "README.rst", None, None)
_INTRODUCTIONS = (
    "This is what I use myself; it is small on purpose.",
    "It grew out of a client's need and has been in use since.",
    "Notes on why it is built this way are in `docs/`.",
    "Issues and merge requests are welcome. 🙂",
)


@dataclass(frozen=True)
class File:
    """A text file at the head of a repository's branch; `oid` is the hash that git gives its content."""

    path: str
    text: str

    @property
    def content(self) -> bytes:
        """The file's bytes."""
        return self.text.encode()

    @property
    def oid(self) -> str:
        """Git's hash of a blob."""
        header = f"blob {len(self.content)}\0".encode()
        return hashlib.sha1(header + self.content, usedforsecurity=False).hexdigest()


def readme_of(repository: Repository) -> File | None:
    """The README of a repository; None when it has none."""
    draw = int.from_bytes(hashlib.sha256(repository.name_with_owner.lower().encode()).digest()[:4])
    name = _NAMES[draw % len(_NAMES)]
    if name is None:
        return None
    title = repository.name.replace("-", " ").capitalize()
    is_markdown = name.lower().endswith(".md")
    heading = f"# {title}" if is_markdown else f"{title}\n{'=' * len(title)}"
    badge = "[![build](https://ci.invalid/badge.svg)](https://ci.invalid)" if is_markdown else ""
    parts = [
        heading,
        badge,
        f"{repository.description}." if repository.description else "",
        _INTRODUCTIONS[draw // len(_NAMES) % len(_INTRODUCTIONS)],
        _built_with(repository),
        "    make install && make test",
    ]
    return File(name, "\n\n".join(part for part in parts if part) + "\n")


def _built_with(repository: Repository) -> str:
    languages = list(repository.languages)[:2]
    if not languages:
        return ""
    topics = [topic for topic in repository.topics if topic not in {name.lower() for name in languages}]
    around = f", with {', '.join(topics[:3])}" if topics else ""
    return f"Written in {' and '.join(languages)}{around}."


def read_object(
    repository: Repository,
    source_of: Callable[[Repository], Source],
    _info: GraphQLResolveInfo,
    *,
    expression: str | None = None,
    oid: str | None = None,
) -> Source | None:
    """GraphQL's object at a path of the head, or with a hash; None for all but the README.

    Args:
        repository: Whose object it is.
        source_of: Makes the repository's own GraphQL object.
        expression: Such as `HEAD:README.md`.
        oid: Git's hash.
    """
    file = readme_of(repository)
    if file is None or (expression != f"HEAD:{file.path}" and oid != file.oid):
        return None
    return {
        "__typename": "Blob",
        "abbreviatedOid": file.oid[:7],
        "byteSize": len(file.content),
        "id": node_id("B", f"{repository.database_id}:{file.oid}"),
        "isBinary": False,
        "isTruncated": False,
        "oid": file.oid,
        "repository": lambda _info: source_of(repository),
        "text": file.text,
    }
