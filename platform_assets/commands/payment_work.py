"""`platform-assets payments`: shows what the retries would do, runs them, and takes what a person found out."""

from __future__ import annotations

import datetime as dt
from collections import Counter

from rich.console import Console
from rich.table import Table

from platform_assets.currencies import format_minor
from platform_assets.errors import PlatformError
from platform_assets.settings import Settings

_SHOWN = 200


class NothingToSettleError(PlatformError):
    """There is no such attempt, or it does not wait for a person."""


def show_plan(settings: Settings) -> int:
    """Print what would be done about every failed payment, by what was last read; gives the exit status."""
    from platform_assets.payments.failed_payments import read_through
    from platform_assets.payments.retries import plan_retries
    from platform_assets.payments.retry_ledger import count_states
    from platform_assets.payments.retry_policy import RetryPolicy
    from platform_assets.resources import open_database

    policy = RetryPolicy(holdout_share=settings.payment_retry_holdout)
    now = dt.datetime.now(dt.UTC)
    with open_database(settings) as database:
        decisions = plan_retries(database, policy, now=now)
        through = read_through(database)
        states = (
            count_states(database, since=now - policy.breaker.window) if policy.breaker else Counter[str]()
        )
    console = Console(soft_wrap=True)
    table = Table(title=f"Failed payments, {now:%Y-%m-%d %H:%M} UTC")
    table.add_column("payment")
    table.add_column("amount", justify="right")
    table.add_column("card")
    table.add_column("now")
    table.add_column("due (UTC)")
    table.add_column("why")
    for each in decisions[:_SHOWN]:
        payment = each.payment
        table.add_row(
            payment.payment_id,
            format_minor(payment.amount_minor, payment.currency),
            (payment.card.brand or "unknown") if payment.card else "not named",
            each.action.value,
            f"{each.due_at:%Y-%m-%d %H:%M}" if each.due_at else "",
            each.reason,
        )
    console.print(table)
    if len(decisions) > _SHOWN:
        console.print(f"{len(decisions) - _SHOWN} more are not shown.")
    counts = Counter(each.action.value for each in decisions)
    console.print(
        ", ".join(f"{action}: {count}" for action, count in counts.items()) or "No payment has failed."
    )
    console.print(f"The gateway was last read {f'at {through:%Y-%m-%d %H:%M} UTC' if through else 'never'}.")
    if policy.breaker and (reason := policy.breaker.reason(states)):
        console.print(f"The breaker is open: {reason}.")
    if not settings.is_retrying_payments:
        console.print("Retries are off: nothing of this is done until PLATFORM_PAYMENT_RETRIES=on.")
    return 0


def run_retries(settings: Settings) -> int:
    """Run the retries' job in this process; gives the exit status."""
    from platform_assets.main_run import run_job
    from platform_assets.schedules import RETRIES_JOB

    return run_job(settings, RETRIES_JOB)


def settle(settings: Settings, payment_id: str, attempt: int, *, state: str, charge_id: str | None) -> None:
    """Write down what a person found out.

    Raises:
        NothingToSettleError: There is no such attempt that waits for a person.
    """
    from platform_assets.payments.retry_ledger import settle_by_person
    from platform_assets.resources import open_database

    with open_database(settings) as database:
        is_settled = settle_by_person(
            database, payment_id, attempt, state=state, charge_id=charge_id, now=dt.datetime.now(dt.UTC)
        )
    if not is_settled:
        raise NothingToSettleError(
            f"Attempt {attempt} of payment {payment_id} does not wait for a person. `platform-assets checks` names those "
            "that do, under payment_retries."
        )
    Console(soft_wrap=True).print(f"Attempt {attempt} of payment {payment_id} is settled as {state}.")
