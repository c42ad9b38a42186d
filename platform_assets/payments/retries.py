"""Charges failed payments again, so that a crash at any point neither charges twice nor loses an outcome.

For each attempt: read the intent and its charges, commit the row, confirm, write the outcome. Before anything new, find
out what became of earlier calls. What is due is `retry_policy`'s business, the rows are `retry_ledger`'s.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from platform_assets import payment_thresholds as thresholds
from platform_assets.clients.database import Database
from platform_assets.clients.http_errors import RateLimited, ServiceError, TransientError
from platform_assets.clients.payment_retrier import (
    ConfirmOutcome,
    KeyMisusedError,
    PaymentRetrier,
    UnreadableAnswerError,
    charge_outcome,
    decline_of,
)
from platform_assets.currencies import CurrencyError, minor_from_gateway
from platform_assets.payments import retry_ledger as ledger
from platform_assets.payments.failed_payments import (
    OUTCOME_NOT_KNOWN,
    intent_status_obstacle,
    read_failed_payments,
)
from platform_assets.payments.retry_ledger import Attempt
from platform_assets.payments.retry_policy import (
    Action,
    Card,
    Decision,
    DeclineKind,
    FailedPayment,
    RetryPolicy,
    decline_kind,
    plan,
)

_LOGGER = logging.getLogger(__name__)

Probe = Callable[[str], None]
"""Called at the points between which a crash makes a difference, by their names; a test may not return from it."""

POINTS = ("before_row", "before_call", "after_call", "before_commit")


def _pass(point: str) -> None:
    """Nothing happens there."""


@dataclass
class RetryReport:
    """What a run did.

    Attributes:
        decisions: What was decided for every failed payment.
        states: Number of this run's attempts by state.
        resolved: Number of earlier attempts by the state that was found out now.
        skipped: Payment to why it was not attempted although it was due.
        stopped: Why the run ended early; None when it did not.
    """

    decisions: Sequence[Decision] = ()
    states: Counter[str] = field(default_factory=Counter)
    resolved: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    stopped: str | None = None


@dataclass(frozen=True)
class RetryRun:
    """Retries over one database and one gateway.

    Attributes:
        database: Where the ledger is.
        retrier: The gateway.
        policy: The numbers.
        read_clock: Gives the present moment (UTC).
        read_through: Up to when the gateway's rows are complete (UTC); None when they never were. With rows that are too
            old nothing new is charged, since the application may have charged since.
        probe: See `Probe`.
    """

    database: Database
    retrier: PaymentRetrier
    policy: RetryPolicy
    read_clock: Callable[[], dt.datetime]
    read_through: dt.datetime | None
    probe: Probe = _pass

    def plan(self) -> list[Decision]:
        """What would be done now; nothing is written and nobody is called."""
        return plan_retries(self.database, self.policy, now=self.read_clock())

    def run(self) -> RetryReport:
        """Settle what is open, then make the attempts that are due.

        Raises:
            ServiceError: The gateway can't be used at all. What was begun stands in the ledger.
        """
        report = RetryReport()
        try:
            self._settle_open(report, may_send=not self._has_old_rows())
            report.decisions = self.plan()
            if self._has_old_rows():
                report.stopped = (
                    "the gateway's rows are too old to charge by: materialize gateway_transactions first"
                )
            else:
                self._make_attempts(report)
        except RateLimited as error:
            report.stopped = str(error)
        return report

    def settle(self) -> RetryReport:
        """Find out what became of calls without an answer, by reading alone: nothing is charged, no call is repeated.

        Raises:
            ServiceError: The gateway can't be used at all.
        """
        report = RetryReport()
        try:
            self._settle_open(report, may_send=False)
        except RateLimited as error:
            report.stopped = str(error)
        return report

    def _has_old_rows(self) -> bool:
        return self.read_through is None or self.read_clock() - self.read_through > thresholds.RETRY_DATA_AGE

    def _make_attempts(self, report: RetryReport) -> None:
        due = [each for each in report.decisions if each.action in (Action.RETRY, Action.HOLD_OUT)]
        ledger.assign_arms(
            self.database,
            [(each.payment, each.action is Action.HOLD_OUT) for each in due],
            now=self.read_clock(),
        )
        recent = self._recent_states()
        for decision in due:
            if decision.action is Action.HOLD_OUT:
                continue
            if self.policy.breaker and (reason := self.policy.breaker.reason(recent)):
                report.stopped = reason
                return
            state = self._attempt(decision.payment, report)
            if state is not None:
                report.states[state] += 1
                recent[state] += 1

    def _settle_open(self, report: RetryReport, *, may_send: bool) -> None:
        """Find out what became of calls without an answer; only for payments that are surely still owed a call is repeated."""
        unsettled = ledger.read_unsettled(self.database)
        intent_ids = {attempt.payment_intent_id for attempt in unsettled}
        failed = read_failed_payments(self.database, intent_ids=intent_ids) if unsettled and may_send else []
        owed = {each.payment_id for each in failed if _is_owed(each)}
        for attempt in unsettled:
            state = self._resolve(attempt, may_send=attempt.payment_id in owed)
            report.resolved[state] += 1

    def _recent_states(self) -> Counter[str]:
        if self.policy.breaker is None:
            return Counter()
        return ledger.count_states(self.database, since=self.read_clock() - self.policy.breaker.window)

    def _attempt(self, payment: FailedPayment, report: RetryReport) -> str | None:
        """One attempt's state; None when it was not made."""
        prepared = self._prepare(payment)
        if isinstance(prepared, str):
            report.skipped[payment.payment_id] = prepared
            return None
        charge, known_charge_ids = prepared
        self.probe("before_row")
        begun = ledger.begin_attempt(
            self.database,
            payment,
            charge.card,
            parameters=charge.parameters,
            known_charge_ids=known_charge_ids,
            caps=self.policy.caps,
            now=self.read_clock(),
        )
        if isinstance(begun, str):
            report.skipped[payment.payment_id] = begun
            return None
        return self._send(begun, is_first=True)

    def _prepare(self, payment: FailedPayment) -> tuple[IntendedCharge, list[str]] | str:
        """What to charge, and the charges that there are already; or why nothing is to be charged."""
        intent = self.retrier.read_intent(payment.payment_intent_id)
        charge = intended_charge(intent, payment)
        if isinstance(charge, str):
            return charge
        charges = self.retrier.read_charges(payment.payment_intent_id)
        if any(each.get("status") != "failed" for each in charges):
            return "the intent has a charge that did not fail"
        return charge, [str(each["id"]) for each in charges]

    def _send(self, attempt: Attempt, *, is_first: bool) -> str:
        """Confirm, and write down what became of it; an attempt without an outcome stays open.

        What the gateway refuses the first time it has not done. A later refusal says nothing of the first call.
        """
        self.probe("before_call")
        try:
            outcome = self.retrier.confirm(
                attempt.payment_intent_id, parameters=attempt.parameters, key=attempt.key
            )
        except KeyMisusedError as error:
            ledger.hand_over(self.database, attempt, str(error))
            return "needs_person"
        except ServiceError as error:
            is_refused = is_first and not isinstance(error, TransientError)
            if is_refused:
                self._settle_without_charge(attempt, str(error))
            else:
                ledger.note_failure(self.database, attempt, str(error))
                _LOGGER.warning("%s: the outcome is not known yet: %s", attempt.key, error)
            if _ends_the_run(error):
                raise
            return "refused" if is_refused else "sent"
        self.probe("after_call")
        self._settle(attempt, outcome)
        return outcome.state

    def _settle(self, attempt: Attempt, outcome: ConfirmOutcome) -> None:
        ledger.settle(
            self.database,
            attempt,
            outcome,
            now=self.read_clock(),
            before_commit=lambda: self.probe("before_commit"),
        )

    def _settle_without_charge(self, attempt: Attempt, detail: str) -> None:
        ledger.settle_without_charge(
            self.database,
            attempt,
            detail,
            now=self.read_clock(),
            before_commit=lambda: self.probe("before_commit"),
        )

    def _resolve(self, attempt: Attempt, *, may_send: bool) -> str:
        """The state that an attempt without an outcome is in after a look at the gateway."""
        intent = self.retrier.read_intent(attempt.payment_intent_id)
        if intent is None:
            ledger.hand_over(self.database, attempt, "the gateway does not know the intent any more")
            return "needs_person"
        try:
            found = found_outcome(intent, self.retrier.read_charges(attempt.payment_intent_id), attempt)
        except UnreadableAnswerError as error:
            # Nothing is sent on top of what is not understood, and other payments don't wait for it.
            ledger.note_failure(self.database, attempt, str(error))
            return self._hand_over(attempt, str(error)) if self._is_too_old(attempt) else attempt.state
        if found is not None:
            self._settle(attempt, found)
            return found.state
        if attempt.state == "processing":
            return "processing"
        if intent.get("status") == "canceled":
            self._settle_without_charge(attempt, "the intent was cancelled before it was charged")
            return "refused"
        if self._is_too_old(attempt):
            return self._hand_over(attempt, "no trace at the gateway")
        if not may_send or not ledger.note_sent_again(self.database, attempt):
            return "sent"
        return self._send(attempt, is_first=False)

    def _is_too_old(self, attempt: Attempt) -> bool:
        return self.read_clock() - attempt.sent_at >= thresholds.RETRY_KEY_LIFETIME

    def _hand_over(self, attempt: Attempt, finding: str) -> str:
        hours = thresholds.RETRY_KEY_LIFETIME.total_seconds() / 3600
        ledger.hand_over(
            self.database, attempt, f"{finding} after {hours:g} hours, and the key must not be sent any more"
        )
        return "needs_person"


def plan_retries(database: Database, policy: RetryPolicy, *, now: dt.datetime) -> list[Decision]:
    """What would be done about every failed payment at a moment; nothing is written."""
    payments = read_failed_payments(database)
    fingerprints = {each.card.fingerprint for each in payments if each.card}
    since = now - max((cap.window for cap in policy.caps), default=dt.timedelta())
    with database.transaction() as connection:
        card_attempts = ledger.read_card_attempts(connection, fingerprints, since=since)
    return plan(
        payments, policy=policy, now=now, card_attempts=card_attempts, arms=ledger.read_arms(database)
    )


def _ends_the_run(error: ServiceError) -> bool:
    """Whether no further call makes sense: the key may not do this, or the gateway wants fewer calls."""
    return isinstance(error, RateLimited) or error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def _is_owed(payment: FailedPayment) -> bool:
    """Whether nothing but an attempt without an outcome stands in the way."""
    return payment.obstacle in (None, OUTCOME_NOT_KNOWN)


@dataclass(frozen=True)
class IntendedCharge:
    """What a confirmation would charge: the card, and the call's parameters."""

    card: Card
    parameters: Mapping[str, Any]


def intended_charge(intent: Mapping[str, Any] | None, payment: FailedPayment) -> IntendedCharge | str:
    """What confirming an intent, as the gateway shows it this moment, would charge for a payment.

    Returns:
        The charge, or why the intent must not be confirmed.
    """
    if intent is None:
        return "the gateway has no such intent"
    obstacle = _intent_obstacle(intent, payment)
    if obstacle is not None:
        return obstacle
    error = intent.get("last_payment_error")
    if not isinstance(error, Mapping):
        return "the intent tells of no decline"
    code, advice = decline_of(error)
    if decline_kind(code, advice) is not DeclineKind.SOFT:
        return f"the last decline is not one that passes ({code or 'no code'}, advice {advice or 'none'})"
    method = error.get("payment_method")
    if not isinstance(method, Mapping) or not isinstance(method.get("card"), Mapping) or not method.get("id"):
        return "the intent does not name the card that was declined"
    fingerprint = method["card"].get("fingerprint")
    if not fingerprint:
        return "the gateway does not name the card, so its attempts can't be counted"
    if not method.get("customer"):
        return "the card belongs to no customer, so it can't be charged without them"
    return IntendedCharge(
        Card(fingerprint, method["card"].get("brand")),
        {"payment_method": method["id"], "off_session": True},
    )


def _intent_obstacle(intent: Mapping[str, Any], payment: FailedPayment) -> str | None:
    status = intent_status_obstacle(intent.get("status"))
    if status is not None:
        return status
    metadata = intent.get("metadata")
    named = metadata.get("payment_id") if isinstance(metadata, Mapping) else None
    if named and named != payment.payment_id:
        return "the intent names another payment"
    if intent.get("capture_method") == "manual":
        return "the application captures this intent by hand"
    try:
        currency = str(intent.get("currency")).upper()
        amount_minor = minor_from_gateway(int(intent["amount"]), currency)
    except (CurrencyError, KeyError, TypeError, ValueError):
        return "the intent's amount can't be read"
    if (amount_minor, currency) != (payment.amount_minor, payment.currency):
        return "the intent is over another amount"
    return None


def found_outcome(
    intent: Mapping[str, Any], charges: Sequence[Mapping[str, Any]], attempt: Attempt
) -> ConfirmOutcome | None:
    """What the gateway's objects tell of an attempt; None when it left no trace.

    A charge that the intent did not have before the call is the attempt's, or came after it: the first of them counts,
    but for one that took the money, which always does.
    """
    new = [charge for charge in reversed(charges) if charge.get("id") not in attempt.known_charge_ids]
    outcomes = [charge_outcome(charge) for charge in new]
    for state in ("succeeded", "processing", "declined"):
        for outcome in outcomes:
            if outcome.state == state:
                return outcome
    return ConfirmOutcome("needs_customer") if intent.get("status") == "requires_action" else None
