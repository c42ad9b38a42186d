"""READMEs of repositories from GitHub: which file there is and what hash it has, then the text of those that are new.

Two questions, so that a README that has not changed costs a line of an answer and no megabyte. Both ask for no connection:
a document costs one point however many repositories it names. What a README says is `profiles`' business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from platform_assets.clients.github_batches import Questions, batched, parsed
from platform_assets.clients.github_queries import Question, repository_variables
from platform_assets.clients.http_errors import ServiceError

NAMES = ("README.md", "readme.md", "Readme.md", "README.rst", "README.txt", "README", "README.adoc")
"""Where a README mostly is, the first that exists counts; paths are case-sensitive in git."""

MAX_BYTES = 2 * 1024 * 1024
"""A larger one is not asked for: it is a data file, and some of them together would not come in time."""

REPOSITORIES_PER_PART = 100
"""What is read when reading breaks off is kept but for the last so many repositories."""

_FILES = Question(
    noun="repositories' READMEs",
    field="repository(owner: $owner, name: $name) { ...Readmes }",
    types={"owner": "String!", "name": "String!"},
    fragment="\nfragment Readmes on Repository {\n"
    + "\n".join(
        f'  readme{i}: object(expression: "HEAD:{name}") {{ ...ReadmeFile }}' for i, name in enumerate(NAMES)
    )
    + "\n}\nfragment ReadmeFile on Blob { oid byteSize isBinary }",
    batch_size=25,
    connections_count=0,
)

_TEXT = Question(
    noun="READMEs",
    field="repository(owner: $owner, name: $name) { object(oid: $oid) { ...ReadmeText } }",
    types={"owner": "String!", "name": "String!", "oid": "GitObjectID!"},
    fragment="\nfragment ReadmeText on Blob { text isTruncated }",
    # Texts of the largest size still come in one answer.
    batch_size=10,
    connections_count=0,
)

QUESTIONS = (_FILES, _TEXT)
"""Every question of this module."""

State = Literal["read", "unchanged", "none", "too_large", "binary", "failed"]


@dataclass(frozen=True)
class Readme:
    """What became of reading one repository's README.

    Attributes:
        repository: `owner/name`.
        state: `read`; `unchanged`, when it still has the hash that is known; `none`, when there is none, or no such
            repository; `too_large` or `binary`, and then not asked for; `failed`.
        path: Its path in the repository; None without one.
        oid: Git's hash of its content; None without one.
        bytes_count: Its size in bytes; None without one.
        text: Its text; only of one that was read.
        is_truncated: Whether GitHub itself cut the text.
        failure: Why it could not be read; only of one that failed.
    """

    repository: str
    state: State
    path: str | None = None
    oid: str | None = None
    bytes_count: int | None = None
    text: str | None = None
    is_truncated: bool = False
    failure: str | None = None


@dataclass(frozen=True)
class _File:
    path: str
    oid: str
    bytes_count: int
    is_binary: bool


def read_readmes(questions: Questions, known_oids: Mapping[str, str | None]) -> Iterator[list[Readme]]:
    """Read the READMEs of repositories in parts.

    Args:
        questions: Asks GitHub.
        known_oids: Repository (`owner/name`) → hash of the README that is known of it; None when none is.

    Yields:
        One result per repository, `REPOSITORIES_PER_PART` at a time, in the order of `known_oids`.

    Raises:
        ServiceError: A rate limit, a refused token or an outage; what came before has been yielded.
    """
    for part in batched(list(known_oids), REPOSITORIES_PER_PART):
        replies = questions.ask(_FILES, [repository_variables(repository) for repository in part])
        listed = [parsed(_parse_files, reply) for reply in replies]
        wanted = [
            (repository, files[0])
            for repository, files in zip(part, listed, strict=True)
            if isinstance(files, list) and files and _state(files[0], known_oids[repository]) == "read"
        ]
        texts = dict(zip((repository for repository, _ in wanted), _read_texts(questions, wanted)))
        yield [
            texts.get(repository) or _without_text(repository, files, known_oids[repository])
            for repository, files in zip(part, listed, strict=True)
        ]


def _read_texts(questions: Questions, wanted: Sequence[tuple[str, _File]]) -> list[Readme]:
    replies = questions.ask(
        _TEXT, [{**repository_variables(repository), "oid": file.oid} for repository, file in wanted]
    )
    results = []
    for (repository, file), reply in zip(wanted, replies, strict=True):
        found = parsed(_parse_text, reply)
        if isinstance(found, ServiceError):
            results.append(Readme(repository, "failed", failure=str(found)))
        elif found is None:
            # Gone between both questions.
            results.append(Readme(repository, "none"))
        else:
            text, is_truncated = found
            state: State = "binary" if text is None else "read"
            results.append(
                Readme(repository, state, file.path, file.oid, file.bytes_count, text, is_truncated)
            )
    return results


def _without_text(repository: str, files: list[_File] | ServiceError | None, known: str | None) -> Readme:
    if isinstance(files, ServiceError):
        return Readme(repository, "failed", failure=str(files))
    if not files:
        return Readme(repository, "none")
    file = files[0]
    return Readme(repository, _state(file, known), file.path, file.oid, file.bytes_count)


def _state(file: _File, known: str | None) -> State:
    if file.is_binary:
        return "binary"
    if file.bytes_count > MAX_BYTES:
        return "too_large"
    return "unchanged" if file.oid == known else "read"


def _parse_files(data: Mapping[str, Any]) -> list[_File]:
    """The answer to `_FILES`: READMEs by preference; a folder of that name has no hash of a file."""
    found = ((name, data[f"readme{i}"]) for i, name in enumerate(NAMES))
    return [
        _File(name, blob["oid"], int(blob["byteSize"]), bool(blob["isBinary"]))
        for name, blob in found
        if blob
    ]


def _parse_text(data: Mapping[str, Any]) -> tuple[str | None, bool] | None:
    """The answer to `_TEXT`: the text and whether it was cut; None when there is no such file."""
    blob = data["object"]
    if blob is None:
        return None
    if not isinstance(blob["text"], str | None):
        raise TypeError("text")
    return blob["text"], bool(blob["isTruncated"])
