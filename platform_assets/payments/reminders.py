"""Reminds clients of what is overdue: which steps of the ladder are due, what the mail says, and that none is taken twice.

The row of a step is committed before its mail goes out, so that a crash can lose a mail but never send one twice. How a
mail travels is `clients/mailer.py`'s business, ages are `overdue.py`'s.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.database import Database
from platform_assets.clients.mailer import Mailer, MailerError, MailRefusedError
from platform_assets.currencies import format_minor
from platform_assets.tables.payment_operations import payment_reminders

_OPENINGS = (
    "A short reminder: the following has fallen due and has not reached us yet.",
    "The following is still open. Please pay it in the next days, or tell us if something is wrong with it.",
    "The following has been due for a month. Please pay it now, or write to us today if you can't.",
    "This is our last reminder of what follows. After it, a person will take up the matter with you.",
)
"""What each step of the ladder says first."""


@dataclass(frozen=True)
class DueReminder:
    """One payment's step that is due."""

    payment_id: str
    stage: int
    amount_minor: int
    currency: str
    due_date: dt.date


@dataclass(frozen=True)
class Letter:
    """One mail: all steps that are due for a client at once."""

    client_id: str
    name: str
    address: str
    reminders: Sequence[DueReminder]


def plan_letters(aged: pd.DataFrame, clients: pd.DataFrame, taken: pd.DataFrame) -> list[Letter]:
    """Mails that are due: for each payment the step that it is on, unless that or a later one was taken.

    Steps that were passed while nobody looked are not made up for. A client without an address, or one whose account is
    closed, gets none.

    Args:
        aged: Rows of `overdue_payments`.
        clients: Rows of `marketplace.clients`.
        taken: Rows of `payment_reminders`.
    """
    last = taken.groupby("payment_id")["stage"].max()
    due = aged[aged["reminder_stage"] > last.reindex(aged["payment_id"]).fillna(0).to_numpy()]
    reachable = clients[clients["is_active"] & clients["email"].fillna("").str.contains("@")]
    due = due.merge(reachable, on="client_id").sort_values(["client_id", "due_date", "payment_id"])
    return [
        Letter(
            str(client_id),
            str(rows["display_name"].iloc[0]),
            str(rows["email"].iloc[0]),
            [
                DueReminder(
                    row["payment_id"],
                    int(row["reminder_stage"]),
                    int(row["amount_minor"]),
                    row["currency"],
                    pd.Timestamp(row["due_date"]).date(),
                )
                for row in rows.to_dict("records")
            ],
        )
        for client_id, rows in due.groupby("client_id")
    ]


def write_mail(letter: Letter, *, sender: str, now: dt.datetime) -> EmailMessage:
    """The mail to a client; it holds amounts, dates and payment ids, and nothing that lets anyone pay or log in."""
    stage = max(each.stage for each in letter.reminders)
    count = len(letter.reminders)
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, letter.address
    mail["Date"] = format_datetime(now)
    mail["Subject"] = (
        f"{'Payment' if count == 1 else f'{count} payments'} overdue (reminder {stage} of {len(_OPENINGS)})"
    )
    # Nobody's out-of-office note should answer it (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    lines = [
        f"- {each.payment_id}: {format_minor(each.amount_minor, each.currency)}, due on {each.due_date:%d %B %Y}"
        for each in letter.reminders
    ]
    mail.set_content(
        "\n".join(
            [
                f"Hello {letter.name},",
                "",
                _OPENINGS[stage - 1],
                "",
                *lines,
                "",
                "You can pay in your account on the marketplace. If you have paid in the meantime, please ignore this mail.",
            ]
        )
    )
    return mail


def send_reminders(
    database: Database,
    letters: Sequence[Letter],
    mailer: Mailer,
    *,
    sender: str,
    read_clock: Callable[[], dt.datetime],
) -> Counter[str]:
    """Take the steps that are due, one mail per client.

    Returns:
        Number of steps by what became of them: `sent`, `refused` (the address is no good), `taken` (by another process
        meanwhile).

    Raises:
        MailerError: The mail server can't be used. Steps whose mail may have gone out stay `sending`.
    """
    outcomes: Counter[str] = Counter()
    for letter in letters:
        claimed = _claim(database, letter, now=read_clock())
        outcomes["taken"] += len(letter.reminders) - len(claimed)
        if not claimed:
            continue
        own = Letter(letter.client_id, letter.name, letter.address, claimed)
        try:
            mailer.send(write_mail(own, sender=sender, now=read_clock()))
        except MailRefusedError as error:
            _close(database, own, state="refused", detail=str(error))
            outcomes["refused"] += len(claimed)
        except MailerError as error:
            if not error.may_have_sent:
                _release(database, own)
            raise
        else:
            _close(database, own, state="sent", sent_at=read_clock())
            outcomes["sent"] += len(claimed)
    return outcomes


def _claim(database: Database, letter: Letter, *, now: dt.datetime) -> list[DueReminder]:
    """Commit the steps' rows; gives those that nobody else has taken."""
    with database.transaction() as connection:
        return [each for each in letter.reminders if _insert(connection, letter.client_id, each, now)]


def _insert(connection: sa.Connection, client_id: str, reminder: DueReminder, now: dt.datetime) -> bool:
    insert = pg.insert(payment_reminders).values(
        payment_id=reminder.payment_id,
        stage=reminder.stage,
        client_id=client_id,
        state="sending",
        claimed_at=now,
    )
    taken = insert.on_conflict_do_nothing().returning(payment_reminders.c.stage)
    return connection.scalar(taken) is not None


def _close(database: Database, letter: Letter, **values: object) -> None:
    table = payment_reminders
    with database.transaction() as connection:
        for condition in _keys(letter):
            connection.execute(sa.update(table).where(condition).values(**values))


def _release(database: Database, letter: Letter) -> None:
    """Take back steps whose mail certainly did not go out: the next run takes them again."""
    with database.transaction() as connection:
        for condition in _keys(letter):
            connection.execute(sa.delete(payment_reminders).where(condition))


def _keys(letter: Letter) -> Iterator[sa.ColumnElement[bool]]:
    table = payment_reminders.c
    for each in letter.reminders:
        yield sa.and_(table.payment_id == each.payment_id, table.stage == each.stage)
