"""What becomes of a reconciliation's breaks from one day to the next: they age, they close, and closed ones are kept. Pure."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from platform_assets.payments.reconciliation import BREAK_KEY


def merge_breaks(found: pd.DataFrame, stored: pd.DataFrame, *, as_of: dt.date) -> pd.DataFrame:
    """Breaks to store: those that there are now, with their age, and those that are gone, closed.

    Args:
        found: Breaks of this reconciliation, in `reconciliation.BREAK_COLUMNS`.
        stored: Rows of `payment_breaks`.
        as_of: The day (UTC) of this reconciliation.

    Returns:
        In the shape of `payment_breaks`. What was closed before is not among them, unless it is back.
    """
    open_now = found.assign(closed_on=None, as_of=as_of, age_days=_ages(found, as_of))
    was_open = stored[stored["closed_on"].isna()]
    is_gone = ~pd.MultiIndex.from_frame(was_open[BREAK_KEY]).isin(pd.MultiIndex.from_frame(found[BREAK_KEY]))
    gone = was_open[is_gone]
    gone = gone.assign(closed_on=as_of, as_of=as_of, age_days=_ages(gone, as_of))
    frames = [frame[open_now.columns] for frame in (open_now, gone) if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else open_now


def _ages(breaks: pd.DataFrame, as_of: dt.date) -> pd.Series[int]:
    # A clock that is ahead puts an entry into tomorrow; it is not younger than new.
    return (pd.Timestamp(as_of) - pd.to_datetime(breaks["day"])).dt.days.clip(lower=0)
