"""Stripe's objects in the sandbox's state: reading, writing, lists with cursors, expansion. No HTTP, no rules of money."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any

from platform_assets.sandbox.state import SandboxState, stripe_row
from platform_assets.sandbox.stripe.objects import Object
from platform_assets.sandbox.stripe.params import Params, StripeError, missing

_MAX_EXPANSION_DEPTH = 4
_PAYOUT_TYPES = "('payout', 'payout_failure', 'payout_cancel')"
EVENT_LIFETIME_S = 30 * 24 * 3600
"""How long Stripe shows an event."""

_OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

EXPANDABLE: Mapping[str, frozenset[str]] = {
    "payment_intent": frozenset(("customer", "latest_charge", "payment_method")),
    "charge": frozenset(
        ("balance_transaction", "customer", "payment_intent", "failure_balance_transaction", "refunds")
    ),
    "refund": frozenset(("balance_transaction", "charge", "payment_intent")),
    "balance_transaction": frozenset(("source",)),
    "payment_method": frozenset(("customer",)),
    "customer": frozenset(),
    "payout": frozenset(("balance_transaction",)),
    "dispute": frozenset(("charge", "payment_intent")),
}
"""Fields that hold another object's id and can hold the object instead."""


class StripeStore:
    """Queries over the Stripe part of the state."""

    def __init__(self, state: SandboxState) -> None:
        self._connection = state.connection

    def find(self, kind: str, id: str) -> Object | None:  # noqa: A002  (Stripe's name)
        """An object of a kind; None when there is none with that id."""
        row = self._connection.execute(
            "SELECT body FROM stripe_objects WHERE id = ? AND object = ?", (id, kind)
        ).fetchone()
        return _load(row) if row else None

    def get(self, kind: str, id: str, *, param: str = "id") -> Object:  # noqa: A002  (Stripe's name)
        """An object of a kind.

        Raises:
            StripeError: There is none with that id.
        """
        found = self.find(kind, id)
        if found is None:
            raise missing(kind, id, param=param)
        return found

    def add(self, body: Object) -> None:
        """Store a new object."""
        row = stripe_row(body)
        self._connection.execute(
            f"INSERT INTO stripe_objects ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",  # noqa: S608  (columns of ours)
            tuple(row.values()),
        )

    def update(self, body: Object) -> None:
        """Store a new version of an object."""
        row = stripe_row(body)
        self._connection.execute(
            f"UPDATE stripe_objects SET {', '.join(f'{name} = ?' for name in row)} WHERE id = ?",  # noqa: S608  (columns of ours)
            (*row.values(), body["id"]),
        )

    def all_where(self, kind: str, condition: str, *values: Any) -> list[Object]:
        """Every object of a kind for which an SQL condition of ours holds, oldest first."""
        rows = self._connection.execute(
            f"SELECT body FROM stripe_objects WHERE object = ? AND {condition} ORDER BY created, sequence",  # noqa: S608  (conditions of ours)
            (kind, *values),
        )
        return [_load(row) for row in rows.fetchall()]

    def unpaid_minor(self, now: int) -> dict[str, int]:
        """Net of what is available at `now` and that no payout has paid yet, by currency."""
        rows = self._connection.execute(
            "SELECT currency, sum(json_extract(body, '$.net')) FROM stripe_objects AS transactions "  # noqa: S608  (constants of ours)
            f"WHERE object = 'balance_transaction' AND type NOT IN {_PAYOUT_TYPES} AND available_on <= ? "
            "AND available_on > (SELECT coalesce(max(created), 0) FROM stripe_objects AS payouts "
            "WHERE payouts.object = 'payout' AND payouts.currency = transactions.currency) "
            "GROUP BY currency ORDER BY currency",
            (now,),
        )
        return dict(rows.fetchall())

    def page(self, kind: str, params: Params, filters: Mapping[str, str | None], *, url: str) -> Object:
        """One page of a list, newest first; objects of the same second by the order in which they were made.

        Args:
            kind: Whose objects.
            params: `limit`, `starting_after`, `ending_before`, and windows of `created` and `available_on`.
            filters: Column to value; None does not filter.
            url: The list's path, which is part of the answer.

        Raises:
            StripeError: A parameter is malformed, or a cursor names no object.
        """
        limit = params.integer("limit", minimum=1, maximum=100) or 10
        conditions = ["object = ?"]
        values: list[Any] = [kind]
        for column, value in filters.items():
            if value is not None:
                conditions.append(f"{column} = ?")
                values.append(value)
        for column in ("created", "available_on"):
            for operator, moment in params.window(column).items():
                conditions.append(f"{column} {_OPERATORS[operator]} ?")
                values.append(moment)
        if kind == "event":
            conditions.append("created > ?")
            values.append(int(time.time()) - EVENT_LIFETIME_S)
            if types := params.texts("types"):
                conditions.append(f"type IN ({', '.join('?' * len(types))})")
                values += types
        if "payout" in params and (payout := params.text("payout")):
            condition, between = self._paid_out_by(payout)
            conditions.append(condition)
            values += between
        after, before = params.text("starting_after"), params.text("ending_before")
        if after and before:
            raise StripeError("You may only specify one of these parameters: starting_after, ending_before.")
        order = "DESC"
        if after or before:
            param, comparison = ("starting_after", "<") if after else ("ending_before", ">")
            conditions.append(f"(created, sequence) {comparison} (?, ?)")
            values += self._place(kind, after or before or "", param)
            order = "ASC" if before else "DESC"
        rows = self._connection.execute(
            f"SELECT body FROM stripe_objects WHERE {' AND '.join(conditions)} "  # noqa: S608  (values are bound)
            f"ORDER BY created {order}, sequence {order} LIMIT ?",
            (*values, limit + 1),
        ).fetchall()
        found = [_load(row) for row in rows[:limit]]
        return {
            "object": "list",
            "data": found[::-1] if before else found,
            "has_more": len(rows) > limit,
            "url": url,
        }

    def _place(self, kind: str, id: str, param: str) -> tuple[int, int]:  # noqa: A002  (Stripe's name)
        row: sqlite3.Row | None = self._connection.execute(
            "SELECT created, sequence FROM stripe_objects WHERE id = ? AND object = ?", (id, kind)
        ).fetchone()
        if row is None:
            raise missing(kind, id, param=param)
        return row["created"], row["sequence"]

    def _paid_out_by(self, payout: str) -> tuple[str, list[Any]]:
        """An automatic payout pays what became available in its currency since the one before; its own is in it."""
        body = self.get("payout", payout, param="payout")
        (previous,) = self._connection.execute(
            "SELECT coalesce(max(created), 0) FROM stripe_objects "
            "WHERE object = 'payout' AND currency = ? AND created < ?",
            (body["currency"], body["created"]),
        ).fetchone()
        condition = (
            f"(source = ? OR (type NOT IN {_PAYOUT_TYPES} "
            "AND currency = ? AND available_on > ? AND available_on <= ?))"
        )
        return condition, [payout, body["currency"], previous, body["created"]]

    def expanded(self, body: Object, paths: Sequence[str]) -> Object:
        """The object, or list of objects, with the named ids replaced by what they stand for.

        Args:
            body: An object or a list of them.
            paths: Such as `latest_charge.balance_transaction`, or `data.customer` in a list.

        Raises:
            StripeError: A field can't be expanded.
        """
        for path in paths:
            parts = path.split(".")
            if body["object"] == "list":
                if parts[0] != "data" or len(parts) < 2:
                    raise _not_expandable(path)
                for item in body["data"]:
                    self._expand(item, parts[1:], path)
            else:
                self._expand(body, parts, path)
        return body

    def _expand(self, body: Object, parts: Sequence[str], path: str) -> None:
        name = parts[0]
        if len(parts) > _MAX_EXPANSION_DEPTH:
            raise StripeError(
                f"You cannot expand more than {_MAX_EXPANSION_DEPTH} levels of a property. Property: {path}"
            )
        if name not in EXPANDABLE.get(body["object"], ()):
            raise _not_expandable(path)
        if name == "refunds":
            body[name] = self.page(
                "refund", Params({}, ()), {"charge": body["id"]}, url=f"/v1/charges/{body['id']}/refunds"
            )
            return
        value = body[name]
        if isinstance(value, str):
            row = self._connection.execute(
                "SELECT body FROM stripe_objects WHERE id = ?", (value,)
            ).fetchone()
            if row is None:
                return
            body[name] = value = _load(row)
        if value is not None and len(parts) > 1:
            self._expand(value, parts[1:], path)


def _load(row: sqlite3.Row) -> Object:
    body: Object = json.loads(row["body"])
    if body["object"] == "balance_transaction":
        body["status"] = "available" if body["available_on"] <= time.time() else "pending"
    return body


def _not_expandable(path: str) -> StripeError:
    return StripeError(
        f"This property cannot be expanded ({path}).", code="parameter_invalid", param="expand"
    )
