"""The file that PLATFORM_NOTIFICATIONS names → channels and routes: who is told of what, and how.

A TOML file without secrets: an address, which is one, stands in a variable that the file names. Nothing is sent here.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SEVERITIES = ("low", "medium", "high", "critical")
"""From the least to the most severe."""

Severity = Literal["low", "medium", "high", "critical"]

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)


@dataclass(frozen=True)
class Channel:
    """One way to reach people.

    Attributes:
        name: What routes call it.
        address: Gives its Apprise URL, which is a secret.
        min_severity: What is less severe does not go here.
        messages_per_minute: Most messages in a minute; what exceeds it waits and is put into one.
        fallback: The channel that takes over when this one fails; None leaves messages waiting here.
    """

    name: str
    address: Callable[[], str]
    min_severity: Severity = "low"
    messages_per_minute: int = 10
    fallback: str | None = None


@dataclass(frozen=True)
class Route:
    """Who is told of what. Every route that fits an event counts.

    Attributes:
        channels: Names of channels.
        owner: The team whose events these are; None means every team.
        min_severity: What is less severe does not take this route.
    """

    channels: tuple[str, ...]
    owner: str | None = None
    min_severity: Severity = "low"


@dataclass(frozen=True)
class ChannelBook:
    """All channels and routes. Without channels nobody is told anything: notifications are off.

    Attributes:
        channels: By name.
        routes: In the order of the file.
        canary: The channel that canaries go to; None sends none.
    """

    channels: Mapping[str, Channel]
    routes: tuple[Route, ...]
    canary: str | None = None


NOBODY = ChannelBook({}, ())
"""Notifications are switched off."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Channel(_Part):
    url_env: Annotated[str, Field(pattern=r"^PLATFORM_[A-Z0-9_]+$")]
    min_severity: Severity = "low"
    messages_per_minute: Annotated[int, Field(ge=1, le=600)] = 10
    fallback: str | None = None


class _Route(_Part):
    owner: Annotated[str, Field(min_length=1)] | None = None
    min_severity: Severity = "low"
    channels: Annotated[list[str], Field(min_length=1)]


class _File(_Part):
    channels: Annotated[dict[Annotated[str, Field(pattern=r"^[\w-]+$")], _Channel], Field(min_length=1)]
    routes: Annotated[list[_Route], Field(min_length=1)]
    canary: str | None = None


def read_channel_book(path: Path, environ: Mapping[str, str]) -> tuple[ChannelBook, list[str]]:
    """Read the file.

    Args:
        path: The TOML file.
        environ: Variables, those with addresses among them.

    Returns:
        What it says, and everything that is wrong with it, each with its remedy and without any address. Where anything is
        wrong the book is `NOBODY`.
    """
    try:
        read = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        return NOBODY, [f"the file can't be read: {error.strerror}"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return NOBODY, [f"the file is no TOML: {error}"]
    except ValidationError as error:
        # `input` would print the value, and a value may be an address in the wrong place.
        return NOBODY, [_explain(each) for each in error.errors(include_input=False)]
    problems = [*_reference_problems(read), *_address_problems(read, environ)]
    return (NOBODY if problems else _book(read, environ)), problems


def _explain(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        remedy = (
            ": put the address into a variable and name it as `url_env`" if place.endswith(".url") else ""
        )
        return f"{place} is unknown{remedy}"
    if error["loc"][-1:] == ("url_env",) and error["type"] == "string_pattern_mismatch":
        return f"{place} must name a variable that begins with PLATFORM_"
    return f"{place}: {error['msg']}"


def _reference_problems(read: _File) -> Iterable[str]:
    known = set(read.channels)
    for number, route in enumerate(read.routes):
        for name in sorted(set(route.channels) - known):
            yield f"routes.{number}.channels names {name!r}, which is no channel"
    if read.canary is not None and read.canary not in known:
        yield f"canary names {read.canary!r}, which is no channel"
    for name, channel in read.channels.items():
        if channel.fallback is not None and channel.fallback not in known:
            yield f"channels.{name}.fallback names {channel.fallback!r}, which is no channel"
        elif _comes_back(read, name):
            yield f"channels.{name}.fallback leads back to {name!r}: nothing would be the last resort"
    if all(route.owner is not None for route in read.routes):
        yield "there is no route without an owner: critical alerts of a team that no route names would reach nobody"


def _comes_back(read: _File, name: str) -> bool:
    seen: set[str] = set()
    current = read.channels[name].fallback
    while current is not None and current in read.channels and current not in seen:
        if current == name:
            return True
        seen.add(current)
        current = read.channels[current].fallback
    return False


def _address_problems(read: _File, environ: Mapping[str, str]) -> Iterable[str]:
    for name, channel in read.channels.items():
        address = environ.get(channel.url_env, "").strip()
        if not address:
            yield f"{channel.url_env} is not set: the Apprise URL of channel {name!r}"
        elif not _SCHEME.fullmatch(address):
            yield f"{channel.url_env} is no Apprise URL (such as mailtos://user:password@host?to=address): channel {name!r}"


def _book(read: _File, environ: Mapping[str, str]) -> ChannelBook:
    return ChannelBook(
        channels={
            name: Channel(
                name,
                _keep(environ[channel.url_env].strip()),
                channel.min_severity,
                channel.messages_per_minute,
                channel.fallback,
            )
            for name, channel in read.channels.items()
        },
        routes=tuple(
            Route(tuple(dict.fromkeys(route.channels)), route.owner, route.min_severity)
            for route in read.routes
        ),
        canary=read.canary,
    )


def _keep(address: str) -> Callable[[], str]:
    # A function shows nothing of what it returns when a channel is printed.
    return lambda: address
