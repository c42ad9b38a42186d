"""`platform-assets payments`: what a person sees and does about failed payments."""

import datetime as dt

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from sandbox_server import running_sandbox
from small_world import gateway_client

from benchmarks.failed_payments import failed_payments_world
from platform_assets import resources
from platform_assets.cli import main
from platform_assets.clients.database import Database
from platform_assets.commands.payment_work import NothingToSettleError, settle, show_plan
from platform_assets.payments.gateway_sync import GatewaySync
from platform_assets.sandbox.load import load_marketplace
from platform_assets.settings import Settings

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def production(new_database, tmp_path):
    """Settings of a production whose database holds three failed payments, one of them with an attempt of unknown outcome."""
    world = failed_payments_world(3, failed_at=NOW - dt.timedelta(days=2))
    with new_database() as url, running_sandbox(tmp_path, loaded=world) as endpoints:
        database = Database(url)
        load_marketplace(database, world)
        with gateway_client(endpoints.stripe_url) as gateway:
            GatewaySync(database, gateway, lambda: NOW).run()
        with database.transaction() as connection:
            connection.execute(
                sa.text(
                    "INSERT INTO monitoring.payment_retry_attempts (payment_id, attempt, payment_intent_id, "
                    "idempotency_key, parameters, amount_minor, currency, card_fingerprint, known_charge_ids, state, "
                    "calls_count, sent_at) VALUES ('P2', 1, 'pi_2', 'P2/1', '{}', 1002, 'EUR', 'fingerprint2', '{}', "
                    "'needs_person', 1, :at)"
                ),
                {"at": NOW - dt.timedelta(days=1)},
            )
        database.close()
        yield Settings(home=tmp_path, database_url=url)


def test_a_dry_run_shows_the_plan_and_changes_nothing(production, capsys):
    database = Database(resources.database_url(production))
    before = database.read(sa.text("SELECT count(*)::int FROM monitoring.payment_retry_arms")).iloc[0, 0]

    assert show_plan(production) == 0
    shown = capsys.readouterr().out

    assert "retry: 2, leave: 1" in shown
    assert "10.01 EUR" in shown
    assert "Retries are off" in shown
    assert "The gateway was last read at" in shown
    assert (
        database.read(sa.text("SELECT count(*)::int FROM monitoring.payment_retry_arms")).iloc[0, 0]
        == before
        == 0
    )
    database.close()


def test_a_person_settles_what_waits_for_them_once(production, capsys):
    settle(production, "P2", 1, state="succeeded", charge_id="ch_found")

    assert "settled as succeeded" in capsys.readouterr().out
    with pytest.raises(NothingToSettleError, match="does not wait for a person"):
        settle(production, "P2", 1, state="succeeded", charge_id="ch_found")


@pytest.mark.parametrize(
    "arguments",
    [
        ("settle", "P2", "1", "--as", "succeeded"),
        ("settle", "P2", "1", "--as", "refused", "--charge", "ch_1"),
        ("settle", "P2", "0", "--as", "refused"),
        ("settle", "P2", "1", "--as", "unknown"),
    ],
)
def test_wrong_input_ends_with_2(arguments):
    assert CliRunner().invoke(main, ["payments", *arguments]).exit_code == 2
