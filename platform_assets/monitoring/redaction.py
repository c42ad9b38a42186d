"""Takes secrets out of what people and logs will read. Pure; knows forms of secrets, not where they come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"

_SECRET_NAME = re.compile(
    r"secret|passw|passphrase|\bpwd\b|token|(?:api|access|private)[_-]?key|credential|authorization|cookie|\bdsn\b",
    re.IGNORECASE,
)
"""Names under which secrets travel; `text_sha256` and `row_key` are none."""

_PATTERNS = (
    # The password of a URL such as postgresql://user:password@host, with an @ (the greedy part) or a slash inside it; what
    # looks like a port and a path is none.
    (
        re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)(?!\d+/)(?:[^\s/]+|[^\s@]+)(?=@)", re.IGNORECASE),
        rf"\1{REDACTED}",
    ),
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        REDACTED,
    ),
    # password=… in a libpq connection string, api_key=… in a query string, "token": "…" in a dump; a quoted one to its end.
    (
        re.compile(
            r"((?:secret|passw(?:or)?d|\bpwd|token|(?:api|access|private)[_-]?key)[\"']?\s*(?:[=:]|%3D)\s*)"
            r"(?:\"[^\"]*\"?|'[^']*'?|[^\s\"'&,;]+)",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
    # Headers, which hold a secret to the end of their line.
    (
        re.compile(r"(\b(?:(?:proxy-)?authorization|(?:set-)?cookie)\s*[:=]\s*)[^\n\"'&]+", re.IGNORECASE),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"(\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1{REDACTED}"),
    # Keys that are known by their prefix: Stripe (whose client secrets let their bearer pay), GitHub, Google, Slack and others.
    (re.compile(r"\b(?:sk|rk|pk)_(?:live|test)_\w+|\bwhsec_\w+|\b(?:pi|seti|cs)_\w+_secret_\w+"), REDACTED),
    (re.compile(r"\b(?:gh[opsur]_|github_pat_)\w{10,}"), REDACTED),
    (re.compile(r"\bAIza[\w-]{20,}|\bxox[abeoprs]-[\w-]{10,}"), REDACTED),
    (
        re.compile(
            r"\b(?:glpat-[\w-]{10,}|npm_\w{30,}|SG\.[\w-]{10,}\.[\w-]+|sk-[\w-]{20,}|A(?:KIA|SIA)[A-Z0-9]{16})"
        ),
        REDACTED,
    ),
    # JSON web tokens: a header that begins with {" in base64.
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), REDACTED),
    (
        re.compile(r"(hooks\.slack\.com/services/|discord(?:app)?\.com/api/webhooks/)[\w/-]+"),
        rf"\1{REDACTED}",
    ),
)


def redact_text(text: str) -> str:
    """The text with passwords of URLs and everything that looks like a key or token replaced."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact(value: Any) -> Any:
    """A JSON-like value with secrets replaced, in texts and under names that tell of one."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            name: _without_texts(item) if _SECRET_NAME.search(str(name)) else redact(item)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value


def _without_texts(value: Any) -> Any:
    """What stands under a secret's name; counts of secrets are none."""
    if isinstance(value, Mapping):
        return {name: _without_texts(item) for name, item in value.items()}
    return REDACTED if isinstance(value, str | list | tuple) else value
