"""Stripe's request parameters and errors: the bracket notation of its forms, checked values, its error bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")


@dataclass
class StripeError(Exception):
    """An error that the API answers.

    Attributes:
        message: What a person reads.
        status: HTTP status.
        type: `invalid_request_error`, `card_error`, `idempotency_error` or `api_error`.
        code: Stripe's short name for the reason; None where it has none.
        param: The parameter at fault.
        extra: Further fields of the body, such as `payment_intent`.
    """

    message: str
    status: int = 400
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, Any]:
        """The answer's body."""
        error: dict[str, Any] = {"message": self.message, "type": self.type, **self.extra}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        if self.param is not None:
            error["param"] = self.param
        return {"error": error}


def missing(kind: str, id: str, *, param: str = "id") -> StripeError:  # noqa: A002  (Stripe's name)
    """The error for an object that does not exist: a 404 in the path, a 400 in a parameter."""
    name = {"payment_method": "PaymentMethod"}.get(kind, kind)
    status = 404 if param == "id" else 400
    return StripeError(f"No such {name}: '{id}'", status=status, code="resource_missing", param=param)


def parse_form(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Nested parameters from Stripe's bracket notation: `a[b]=1`, `list[]=x`, `list[0]=x`.

    Raises:
        StripeError: A name is malformed, or used both for a value and for a group.
    """
    root: dict[str, Any] = {}
    for name, value in pairs:
        match = _KEY.fullmatch(name)
        if match is None:
            raise StripeError(f"Invalid parameter name: {name}", param=name)
        parts = [match[1], *_PART.findall(match[2])]
        group = root
        for part in parts[:-1]:
            # `list[]=x` numbers its items as they come.
            group = group.setdefault(part or str(len(group)), {})
            if not isinstance(group, dict):
                raise StripeError(f"Invalid parameter name: {name}", param=name)
        group[parts[-1] or str(len(group))] = value
    return {name: _with_lists(value) for name, value in root.items()}


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _with_lists(each) for name, each in value.items()}
    if inner and all(name.isdecimal() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner


class Params:
    """The parameters of one call, read with checks; each error names the parameter.

    Args:
        values: The nested parameters.
        known: The names that the endpoint takes.

    Raises:
        StripeError: There is one that the endpoint does not take.
    """

    def __init__(self, values: Mapping[str, Any], known: Iterable[str]) -> None:
        self._values = values
        for name in sorted(set(values) - set(known)):
            raise StripeError(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str | None:
        """A value as it came; None when it is absent or empty."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise StripeError(f"Invalid string: {value}", param=name)
        return value

    def required(self, name: str) -> str:
        """A value that must be there."""
        value = self.text(name)
        if value is None:
            raise StripeError(f"Missing required param: {name}.", code="parameter_missing", param=name)
        return value

    def integer(self, name: str, *, minimum: int | None = None, maximum: int | None = None) -> int | None:
        """A whole number; None when it is absent."""
        value = self.text(name)
        return None if value is None else _integer(value, name, minimum, maximum)

    def flag(self, name: str) -> bool:
        """A boolean; False when it is absent."""
        value = self.text(name)
        if value not in (None, "true", "false"):
            raise StripeError(f"Invalid boolean: {value}", param=name)
        return value == "true"

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        """One of some words; None when it is absent."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise StripeError(f"Invalid {name}: must be one of {', '.join(choices)}", param=name)
        return value

    def texts(self, name: str) -> list[str]:
        """A list of values; empty when it is absent."""
        value = self._values.get(name, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise StripeError("Invalid array", param=name)
        return value

    def group(self, name: str) -> dict[str, Any] | None:
        """A group as it came; None when it is absent or empty."""
        value = self._values.get(name)
        if value in (None, ""):
            return None
        if not isinstance(value, dict):
            raise StripeError("Invalid object", param=name)
        return value

    def metadata(self) -> dict[str, str]:
        """The caller's own keys and values."""
        group = self.group("metadata") or {}
        if not all(isinstance(value, str) for value in group.values()):
            raise StripeError("Invalid metadata: values must be strings", param="metadata")
        return group

    def window(self, name: str) -> dict[str, int]:
        """Limits of a timestamp by operator (`gt`, `gte`, `lt`, `lte`); a bare value is both ends."""
        value = self._values.get(name)
        if value is None:
            return {}
        if isinstance(value, str):
            moment = _integer(value, name, None, None)
            return {"gte": moment, "lte": moment}
        if not isinstance(value, dict) or not set(value) <= {"gt", "gte", "lt", "lte"}:
            raise StripeError("Invalid range: use gt, gte, lt and lte", param=name)
        return {
            operator: _integer(moment, f"{name}[{operator}]", None, None)
            for operator, moment in value.items()
        }


def _integer(value: Any, name: str, minimum: int | None, maximum: int | None) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
        raise StripeError(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
    number = int(value)
    for limit, words, is_broken in (
        (minimum, "greater than or equal to", minimum is not None and number < minimum),
        (maximum, "less than or equal to", maximum is not None and number > maximum),
    ):
        if is_broken:
            raise StripeError(
                f"This value must be {words} {limit} (it currently is '{number}').",
                code="parameter_invalid_integer",
                param=name,
            )
    return number
