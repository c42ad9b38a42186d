"""The books are compared: whatever they hold, breaks explain every difference, and each has the right name."""

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.payments.breaks import merge_breaks
from platform_assets.payments.reconciliation import BREAK_KEY, DAY_KEY, reconcile

AS_OF = dt.date(2026, 11, 1)
READ = dt.datetime(2026, 11, 1, 6, tzinfo=dt.UTC)

PAYMENT = {
    "payment_id": "P1",
    "payment_intent_id": "pi_1",
    "amount_minor": 1_000,
    "currency": "EUR",
    "status": "paid",
    "refunded_minor": 0,
    "paid_at": pd.Timestamp("2026-10-20 10:00", tz="UTC"),
    "updated_at": pd.Timestamp("2026-10-20 10:00", tz="UTC"),
}
OBJECT = {
    "object_id": "ch_1",
    "object_type": "charge",
    "payment_id": "P1",
    "payment_intent_id": "pi_1",
    "charge_id": "ch_1",
    "kind": None,
    "status": "succeeded",
    "amount_minor": 1_000,
    "captured_minor": None,
    "fee_minor": None,
    "net_minor": None,
    "currency": "EUR",
    "created_at": pd.Timestamp("2026-10-20 09:59", tz="UTC"),
    "available_on": None,
    "payout_id": None,
}
ENTRY = {
    **OBJECT,
    "object_id": "txn_1",
    "object_type": "balance_transaction",
    "kind": "charge",
    "status": "available",
    "fee_minor": 30,
    "net_minor": 970,
    "available_on": dt.date(2026, 10, 22),
    "payout_id": "po_1",
}
PAYOUT = {
    **OBJECT,
    "object_id": "po_1",
    "object_type": "payout",
    "kind": "automatic",
    "payout_id": "po_1",
    "payment_id": None,
    "payment_intent_id": None,
    "charge_id": None,
    "status": "paid",
    "amount_minor": 970,
    "created_at": pd.Timestamp("2026-10-23", tz="UTC"),
}


def frame(rows, columns):
    data = pd.DataFrame(rows, columns=list(columns), dtype=object)
    for name in ("paid_at", "updated_at", "created_at"):
        if name in data:
            data[name] = pd.to_datetime(data[name], utc=True).astype("datetime64[us, UTC]")
    for name in ("amount_minor", "refunded_minor"):
        if name in data:
            data[name] = data[name].astype("int64")
    for name in ("captured_minor", "fee_minor", "net_minor"):
        if name in data:
            data[name] = data[name].astype("Int64")
    return data


def compare(payments=({},), objects=(OBJECT, ENTRY, PAYOUT)):
    return reconcile(
        frame([PAYMENT | each for each in payments], PAYMENT),
        frame(list(objects), OBJECT),
        read_through=READ,
        as_of=AS_OF,
    )


def found(outcome, leg=None):
    rows = outcome.breaks if leg is None else outcome.breaks[outcome.breaks["leg"] == leg]
    return sorted(zip(rows["leg"], rows["cause"], rows["subject_id"], rows["currency"], rows["amount_minor"]))


def test_books_that_agree_have_no_break():
    outcome = compare()

    assert found(outcome) == []
    assert set(outcome.days["leg"]) == {"captures", "balance", "fees", "payouts"}
    assert (outcome.days["here_minor"] == outcome.days["there_minor"]).all()
    assert (outcome.days["residual_minor"] == 0).all()


def refund(**changes):
    return OBJECT | {"object_id": "re_1", "object_type": "refund", "amount_minor": 400} | changes


@pytest.mark.parametrize(
    ("payments", "objects", "expected"),
    [
        ([{}], [], [("captures", "missing_there", "P1", "EUR", 1_000)]),
        (
            [{"paid_at": pd.Timestamp("2026-11-01 07:00", tz="UTC")}],
            [],
            [("captures", "timing", "P1", "EUR", 1_000)],
        ),
        ([], [OBJECT], [("captures", "missing_here", "ch_1", "EUR", -1_000)]),
        ([{"status": "failed"}], [OBJECT], [("captures", "timing", "P1", "EUR", -1_000)]),
        ([{"status": "cancelled"}], [OBJECT], [("captures", "status", "P1", "EUR", -1_000)]),
        ([{}], [OBJECT | {"amount_minor": 1_200}], [("captures", "amount", "P1", "EUR", -200)]),
        (
            [{}],
            [OBJECT | {"currency": "USD"}],
            [("captures", "currency", "P1", "EUR", 1_000), ("captures", "currency", "P1", "USD", -1_000)],
        ),
        (
            [{}],
            [OBJECT, OBJECT | {"object_id": "ch_2", "payment_intent_id": "pi_2"}],
            [("captures", "duplicate", "ch_2", "EUR", -1_000)],
        ),
        ([{}], [OBJECT | {"payment_intent_id": None}], []),
        ([{"payment_intent_id": None}], [], []),
        (
            [{"status": "partially_refunded", "refunded_minor": 400}],
            [OBJECT],
            [("refunds", "missing_there", "P1", "EUR", 400)],
        ),
        (
            [{"status": "partially_refunded", "refunded_minor": 400}],
            [OBJECT, refund(amount_minor=300), refund(object_id="re_2", amount_minor=100)],
            [],
        ),
        (
            [{"status": "partially_refunded", "refunded_minor": 400}],
            [OBJECT, refund(amount_minor=300)],
            [("refunds", "amount", "P1", "EUR", 100)],
        ),
        (
            [{}],
            [OBJECT, refund(created_at=pd.Timestamp("2026-10-31", tz="UTC"))],
            [("refunds", "timing", "P1", "EUR", -400)],
        ),
        ([{}], [OBJECT, refund(status="failed")], []),
        (
            [{}],
            [OBJECT, refund(payment_id=None, payment_intent_id=None)],
            [("refunds", "missing_here", "re_1", "EUR", -400)],
        ),
    ],
)
def test_a_difference_between_marketplace_and_gateway_has_its_cause(payments, objects, expected):
    outcome = compare(payments, objects)

    assert [each for each in found(outcome) if each[0] in ("captures", "refunds")] == expected
    assert (outcome.days["residual_minor"] == 0).all()


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([OBJECT], [("balance", "missing_there", "charge ch_1", "EUR", 1_000)]),
        (
            [OBJECT | {"status": "failed"}, ENTRY, PAYOUT],
            [("balance", "missing_here", "charge ch_1", "EUR", -1_000)],
        ),
        (
            [OBJECT, ENTRY | {"net_minor": 960}, PAYOUT | {"amount_minor": 960}],
            [("fees", "fee", "txn_1", "EUR", 10)],
        ),
        ([OBJECT, ENTRY, PAYOUT | {"amount_minor": 900}], [("payouts", "amount", "po_1", "EUR", 70)]),
        ([OBJECT, ENTRY, PAYOUT | {"status": "failed"}], [("payouts", "status", "po_1", "EUR", 970)]),
        ([OBJECT, ENTRY], [("payouts", "missing_there", "po_1", "EUR", 970)]),
        (
            [OBJECT, ENTRY | {"payout_id": None}, PAYOUT],
            [
                ("payouts", "missing_here", "po_1", "EUR", -970),
                ("payouts", "timing", "available on 2026-10-22", "EUR", 970),
            ],
        ),
        ([OBJECT, ENTRY | {"payout_id": None}], []),
        ([OBJECT, ENTRY | {"payout_id": None, "available_on": AS_OF}], []),
    ],
)
def test_a_difference_within_the_gateway_has_its_cause(objects, expected):
    outcome = compare(objects=objects)

    assert [each for each in found(outcome) if each[0] in ("balance", "fees", "payouts")] == expected
    assert (outcome.days["residual_minor"] == 0).all()


def test_a_balance_that_is_not_above_0_waits_for_sales_without_a_deadline():
    owed = ENTRY | {
        "object_id": "txn_2",
        "net_minor": -400,
        "payout_id": None,
        "available_on": dt.date(2026, 10, 25),
    }
    earned = ENTRY | {"object_id": "txn_3", "net_minor": 500, "payout_id": None}

    def deadlines(*entries):
        breaks = compare(objects=[OBJECT, ENTRY, PAYOUT, *entries]).breaks
        return breaks["deadline_on"][(breaks["leg"] == "payouts") & (breaks["cause"] == "timing")]

    assert deadlines(owed).isna().tolist() == [True]
    assert deadlines(owed, earned).notna().tolist() == [True, True]


def test_what_was_converted_is_in_neither_total():
    outcome = compare(objects=[OBJECT, ENTRY | {"currency": "USD", "payout_id": None}])

    assert outcome.converted_count == 1
    assert found(outcome, "balance") == []


def test_a_break_names_the_rows_on_both_sides_and_when_it_becomes_an_error():
    outcome = compare([{"status": "failed"}], [OBJECT])
    [row] = outcome.breaks[outcome.breaks["leg"] == "captures"].itertuples()

    assert (row.here_ids, row.there_ids) == ([], ["ch_1"])
    assert row.day == pd.Timestamp(2026, 10, 20)
    assert row.deadline_on == pd.Timestamp(2026, 10, 23)


IDS = st.sampled_from(["P1", "P2", "P3", None])
INTENTS = st.sampled_from(["pi_1", "pi_2", "pi_3", None])
AMOUNTS = st.integers(1, 10**13)
CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])
SECONDS = st.integers(0, 33 * 86_400)
MOMENTS = SECONDS.map(lambda after: pd.Timestamp("2026-10-01", tz="UTC") + pd.Timedelta(seconds=after))

PAYMENTS = st.lists(
    st.fixed_dictionaries(
        {
            "payment_id": st.sampled_from(["P1", "P2", "P3"]),
            "payment_intent_id": INTENTS,
            "amount_minor": AMOUNTS,
            "currency": CURRENCIES,
            "status": st.sampled_from(
                ["pending", "paid", "failed", "refunded", "cancelled", "partially_refunded"]
            ),
            "refunded_minor": st.one_of(st.just(0), AMOUNTS),
            "paid_at": st.one_of(st.none(), MOMENTS),
            "updated_at": MOMENTS,
        }
    ),
    max_size=3,
    unique_by=lambda each: each["payment_id"],
)
OBJECTS = st.lists(
    st.fixed_dictionaries(
        {
            "object_id": st.integers(0, 99).map("obj_{}".format),
            "object_type": st.sampled_from(
                ["charge", "refund", "balance_transaction", "payout", "payment_intent"]
            ),
            "payment_id": IDS,
            "payment_intent_id": INTENTS,
            "charge_id": st.sampled_from(["obj_1", "obj_2", None]),
            "kind": st.sampled_from(
                ["charge", "refund", "payout", "automatic", "manual", "refund_failure", None]
            ),
            "status": st.sampled_from(
                ["succeeded", "failed", "pending", "paid", "available", "never heard of", None]
            ),
            "amount_minor": st.integers(-(10**13), 10**13),
            "captured_minor": st.one_of(st.none(), AMOUNTS),
            "fee_minor": st.one_of(st.none(), st.integers(-500, 500)),
            "net_minor": st.one_of(st.none(), st.integers(-(10**13), 10**13)),
            "currency": CURRENCIES,
            "created_at": MOMENTS,
            "available_on": st.one_of(st.none(), st.dates(dt.date(2026, 10, 1), dt.date(2026, 11, 3))),
            "payout_id": st.sampled_from(["obj_3", "obj_4", None]),
        }
    ),
    max_size=12,
    unique_by=lambda each: each["object_id"],
)


@settings(max_examples=25)
@given(PAYMENTS, OBJECTS)
def test_breaks_explain_every_difference_whatever_the_books_hold(payments, objects):
    outcome = reconcile(frame(payments, PAYMENT), frame(objects, OBJECT), read_through=READ, as_of=AS_OF)

    assert (outcome.days["residual_minor"] == 0).all()
    assert not outcome.days.duplicated(DAY_KEY).any()
    assert not outcome.breaks.duplicated(BREAK_KEY).any()
    assert (
        outcome.breaks["cause"]
        .isin(["missing_here", "missing_there", "amount", "currency", "status", "fee", "duplicate", "timing"])
        .all()
    )
    assert (outcome.breaks["reason"] != "").all()
    known = {each["object_id"] for each in objects} | {each["payment_id"] for each in payments}
    assert {each for ids in outcome.breaks[["here_ids", "there_ids"]].sum(axis=1) for each in ids} <= known


@settings(max_examples=8)
@given(PAYMENTS, OBJECTS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_makes_no_difference(payments, objects, random):
    first = reconcile(frame(payments, PAYMENT), frame(objects, OBJECT), read_through=READ, as_of=AS_OF)
    random.shuffle(payments)
    random.shuffle(objects)
    again = reconcile(frame(payments, PAYMENT), frame(objects, OBJECT), read_through=READ, as_of=AS_OF)

    pd.testing.assert_frame_equal(first.days, again.days)
    assert found(first) == found(again)


def stored(breaks):
    return breaks.assign(closed_on=breaks["closed_on"].astype(object))


def test_a_break_ages_closes_and_is_remembered():
    later = AS_OF + dt.timedelta(days=2)
    first = merge_breaks(compare([{}], []).breaks, compare().breaks.assign(closed_on=None), as_of=AS_OF)
    aged = merge_breaks(compare([{}], []).breaks, stored(first), as_of=later)
    closed = merge_breaks(compare().breaks, stored(aged), as_of=later)
    after = merge_breaks(compare().breaks, stored(closed), as_of=later + dt.timedelta(days=1))

    assert list(first["age_days"]) == [12]
    assert list(aged["age_days"]) == [14]
    assert list(aged["closed_on"]) == [None]
    assert list(closed["closed_on"]) == [later]
    assert after.empty


def test_a_break_that_comes_back_is_open_again():
    first = merge_breaks(compare([{}], []).breaks, compare().breaks.assign(closed_on=None), as_of=AS_OF)
    closed = merge_breaks(compare().breaks, stored(first), as_of=AS_OF)
    back = merge_breaks(compare([{}], []).breaks, stored(closed), as_of=AS_OF)

    assert list(back["closed_on"]) == [None]
