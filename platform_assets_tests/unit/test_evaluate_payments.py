"""Totals of exported Stripe objects: the product's own, whatever the spelling of the files."""

import csv
import datetime as dt
import os
from pathlib import Path

import pytest

from platform_assets.evaluation.data_errors import EvaluationDataError
from platform_assets.evaluation.payments import MEASURES, evaluate_payments

SEEDS = Path(__file__).parents[3] / "shared" / "data" / "stripe_seeds"

BALANCE = {
    "id": "txn_1",
    "amount": "1000",
    "fee": "59",
    "net": "941",
    "currency": "usd",
    "type": "charge",
    "created": "2026-03-04 23:59:59",
    "available_on": "2026-03-06 00:00:00",
}
CHARGE = {
    "id": "ch_1",
    "amount": "700",
    "currency": "usd",
    "status": "failed",
    "created": "2026-03-04 10:00:00",
}


def write(folder: Path, name: str, *rows: dict[str, str]) -> None:
    with (folder / f"{name}_data.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def totals(folder: Path, **options: str) -> dict[str, dict[str, int]]:
    result, bad_rows = evaluate_payments(folder, **options)
    assert bad_rows == []
    return result


def test_each_measure_counts_what_it_should_on_the_day_it_belongs_to(tmp_path: Path) -> None:
    write(
        tmp_path,
        "balance_transaction",
        BALANCE,
        {**BALANCE, "id": "txn_2", "type": "payment"},
        {**BALANCE, "id": "txn_3", "type": "refund", "amount": "-300", "fee": "0", "net": "-300"},
        {**BALANCE, "id": "txn_4", "type": "payment_refund", "amount": "-20", "fee": "-1", "net": "-19"},
        {**BALANCE, "id": "txn_5", "type": "adjustment", "amount": "-5", "fee": "15", "net": "-20"},
        {**BALANCE, "id": "txn_6", "type": "payout", "amount": "-900", "fee": "2", "net": "-902"},
    )
    write(tmp_path, "charge", CHARGE, {**CHARGE, "id": "ch_2", "status": "succeeded"})

    result = totals(tmp_path)

    assert result["days"] == {
        "2026-03-04": {
            "sales_count": 2,
            "sales_amount_minor": 2000,
            "refunds_amount_minor": -320,
            "fees_minor": 59 + 59 + 0 - 1 + 15,
            "net_amount_minor": 941 + 941 - 300 - 19 - 20,
            "payouts_count": 0,
            "payout_amount_minor": 0,
            "failed_charge_count": 1,
            "failed_charge_amount_minor": 700,
        },
        "2026-03-06": {**dict.fromkeys(MEASURES, 0), "payouts_count": 1, "payout_amount_minor": -900},
    }
    assert result["total"] == {name: sum(day[name] for day in result["days"].values()) for name in MEASURES}


@pytest.mark.parametrize(
    "created",
    [
        "2026-03-04 23:59:59",
        "2026-03-04T23:59:59Z",
        "2026-03-04T23:59:59.999999+00:00",
        "2026-03-05 01:59:59+02:00",
        "2026-03-04 23:59:59 UTC",
        str(int(dt.datetime(2026, 3, 4, 23, 59, 59, tzinfo=dt.UTC).timestamp())),
        str(int(dt.datetime(2026, 3, 4, 23, 59, 59, tzinfo=dt.UTC).timestamp()) * 1000),
    ],
)
def test_a_time_is_read_in_any_of_its_spellings(tmp_path: Path, created: str) -> None:
    write(tmp_path, "charge", {**CHARGE, "created": created})
    assert list(totals(tmp_path)["days"]) == ["2026-03-04"]


def test_spelling_extra_columns_and_what_follows_from_the_rest_do_not_matter(tmp_path: Path) -> None:
    row = {"_synced": "x", **BALANCE, "amount": "1000.0", "currency": "USD", "fee": "", "type": "Charge"}
    row = {name.upper(): value for name, value in row.items() if name != "available_on"}
    write(tmp_path, "balance_transaction", row)
    assert totals(tmp_path)["days"]["2026-03-04"]["fees_minor"] == 59


def test_an_empty_file_adds_nothing_and_an_absent_one_is_none(tmp_path: Path) -> None:
    (tmp_path / "balance_transaction_data.csv").write_text("id\n")
    assert totals(tmp_path) == {"days": {}, "total": dict.fromkeys(MEASURES, 0)}


def test_different_currencies_are_never_added(tmp_path: Path) -> None:
    write(tmp_path, "charge", CHARGE, {**CHARGE, "id": "ch_2", "currency": "JPY", "amount": "5"})
    with pytest.raises(EvaluationDataError, match=r"JPY, USD.*--currency"):
        evaluate_payments(tmp_path)
    assert totals(tmp_path, currency="jpy")["total"]["failed_charge_amount_minor"] == 5
    assert totals(tmp_path, currency="EUR")["days"] == {}
    with pytest.raises(EvaluationDataError, match="no ISO 4217"):
        evaluate_payments(tmp_path, currency="euro")


def test_a_row_that_can_be_no_object_is_set_aside_and_told(tmp_path: Path) -> None:
    write(
        tmp_path,
        "charge",
        CHARGE,
        {**CHARGE, "id": "ch_2", "amount": "12.5"},
        {**CHARGE, "id": "ch_3", "amount": ""},
    )
    result, bad_rows = evaluate_payments(tmp_path)
    assert result["total"]["failed_charge_count"] == 1
    assert {bad.row_key: bad.reason for bad in bad_rows} == {
        "ch_2": "amount is '12.5', no whole number",
        "ch_3": "amount is null",
    }


def test_a_folder_without_objects_and_a_file_without_columns_are_told(tmp_path: Path) -> None:
    with pytest.raises(EvaluationDataError, match="holds neither"):
        evaluate_payments(tmp_path)
    write(tmp_path, "charge", {"id": "ch_1"})
    with pytest.raises(EvaluationDataError, match=r"charge_data\.csv has no column amount, currency"):
        evaluate_payments(tmp_path)


def test_real_exports_come_to_what_was_added_by_hand() -> None:
    if not SEEDS.exists():
        assert "CI" not in os.environ, f"{SEEDS} is missing"
        pytest.skip("no shared data")
    assert totals(SEEDS)["total"] == {
        "sales_count": 8,
        "sales_amount_minor": 21_130_318,
        "refunds_amount_minor": 0,
        "fees_minor": 648_218,
        "net_amount_minor": 20_482_100,
        "payouts_count": 1,
        "payout_amount_minor": -18_759,
        "failed_charge_count": 16,
        "failed_charge_amount_minor": 6_677_696,
    }
