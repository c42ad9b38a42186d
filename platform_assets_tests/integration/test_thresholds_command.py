"""`platform-assets thresholds`: another bound for a while, and what is refused."""

import pytest
from click.testing import CliRunner

from platform_assets.cli import main


@pytest.fixture
def invoke(database_url, monkeypatch, tmp_path):
    """Runs a command in this process, in a production whose services are off."""
    production = {
        "DATABASE_URL": database_url,
        "DAGSTER_DATABASE_URL": database_url,
        "HOME": str(tmp_path),
        **dict.fromkeys(
            ("GITHUB_TOKEN", "STRIPE_API_KEY", "NEO4J_URI", "GEMINI_API_KEY", "NOTIFICATIONS"), "off"
        ),
    }
    for name, value in production.items():
        monkeypatch.setenv(f"PLATFORM_{name}", value)

    def run(*arguments):
        return CliRunner().invoke(main, ["thresholds", *arguments])

    return run


REASON = ("--by", "ana", "--because", "old projects come in")


def test_a_bound_can_be_set_for_a_while_is_listed_and_taken_back(invoke):
    done = invoke("set", "match_coverage_ratio", "0.5", *REASON, "--until", "2999-12-01")
    listed = invoke("list", "--overridden")
    taken_back = invoke("unset", "match_coverage_ratio", "--by", "ben")

    assert done.output == (
        "match_coverage_ratio is now 0.5 ratio in place of 0.95, until 2999-12-01 00:00 UTC.\n"
    )
    assert "match_coverage_ratio  ≥ 0.5 ratio  ERROR" in listed.output
    assert (
        "overridden by ana, until 2999-12-01 00:00 UTC, because old projects come in; the release has ≥ 0.95"
        in (listed.output)
    )
    assert "Shown: 1; overridden in all: 1." in listed.output
    assert (taken_back.exit_code, invoke("list", "--overridden").output) == (
        0,
        "Shown: 0; overridden in all: 0.\n",
    )


def test_the_list_shows_every_number_with_its_reason(invoke):
    listed = invoke("list", "match_page")

    assert "match_page_ms  ≤ 200 ms  ERROR\n    95th percentile of a page of matches" in listed.output
    assert listed.output.endswith("Shown: 3; overridden in all: 0.\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("set", "match_coverage", "0.5", *REASON), "Did you mean match_coverage_ratio"),
        (("set", "match_coverage_ratio", "95", *REASON), "Write 95 % as 0.95"),
        (("set", "match_coverage_ratio", "nan", *REASON), "no bound"),
        (("set", "match_coverage_ratio", "half", *REASON), "not a valid float"),
        (("set", "match_coverage_ratio", "0.5", "--by", "ana"), "Missing option '--because'"),
        (("set", "match_coverage_ratio", "0.5", "--because", "x"), "Missing option '--by'"),
        (("set", "match_coverage_ratio", "0.5", *REASON, "--until", "2020-01-01"), "is over"),
        (("set", "match_coverage_ratio", "0.5", *REASON, "--until", "soon"), "does not match the formats"),
        (("set", "match_coverage_ratio", "0.5", "--by", "ana", "--because", "\x1b[31m"), "one line"),
        (("unset", "match_coverage_ratio", "--by", "ana"), "Nobody has overridden"),
        (("unset", "nonsense", "--by", "ana"), "no benchmark"),
    ],
)
def test_nonsense_ends_with_status_2_and_what_would_make_sense(invoke, arguments, told):
    refused = invoke(*arguments)

    assert refused.exit_code == 2
    assert told in refused.output + refused.stderr
    assert "Traceback" not in refused.output
    assert invoke("list", "--overridden").output == "Shown: 0; overridden in all: 0.\n"
