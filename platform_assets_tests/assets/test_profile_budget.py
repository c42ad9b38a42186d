"""What of GitHub's budget shows in the assets: who comes first, and what is left."""

import datetime as dt

from sandbox_server import change_behaviour
from small_world import NOW

from platform_assets.clients.github import GithubClient


def test_who_is_looked_at_comes_first_when_points_are_short(settled, endpoints):
    settled.execute(
        "INSERT INTO marketplace.developers SELECT 'more_' || n, NULL, 'nobody-' || n, NULL, '{}', NULL, NULL, NULL, true, "
        "NULL, NULL, NULL, 0, now(), now() FROM generate_series(1, 60) AS n"
    )
    settled.execute(
        "UPDATE marketplace.contracts SET developer_id = 'more_47', status = 'active' WHERE contract_id = "
        "(SELECT min(contract_id) FROM marketplace.contracts)"
    )
    client = GithubClient(url=endpoints.github_url, token="tiny", timeout_s=10, backoff_s=0.01)
    change_behaviour(endpoints, github_limit=5)

    outcome = settled.run("developer_profiles", github=client)

    assert outcome.metadata("developer_profiles")["accounts_deferred"] > 0
    assert settled.values("SELECT state FROM platform.developer_profiles WHERE developer_id = 'more_47'") == [
        "not_found"
    ]


def test_a_quota_that_others_spent_shows_until_it_is_full_again(settled):
    settled.execute(
        "UPDATE monitoring.github_budgets SET remaining_points = 100, limit_points = 5000, reset_at = :at",
        at=NOW + dt.timedelta(minutes=5),
    )
    check = ("developer_profiles", "remaining_quota")

    assert not settled.run_checks("developer_profiles").checks()[check].passed
    later = settled.run_checks("developer_profiles", now=NOW + dt.timedelta(minutes=6))
    assert later.checks()[check].passed
