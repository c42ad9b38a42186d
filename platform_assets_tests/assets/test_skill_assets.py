"""The assets of skills over a real Postgres: a ledger that explains every confidence, and forecasts that are held to."""

import datetime as dt
import json

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from small_world import AS_OF, NOW

from platform_assets.cli import main
from platform_assets.commands.explain_skill import UnknownNameError, find_explanation
from platform_assets.profiles.calibration import Line
from platform_assets.profiles.confidence import HISTORY_COLUMNS, log_odds, shipped_model
from platform_assets.profiles.evidence_refresh import read_evidence
from platform_assets.profiles.forecasts import GRACE, WINDOW, draw_sample, model_in_use
from platform_assets.profiles.skills import profiles_from_evidence
from platform_assets.table_assets import read_table
from platform_assets.tables import platform as tables
from platform_assets.tables.skill_evidence import confidence_models, skill_evidence, skill_forecasts

ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
SKILLS = ("skill_evidence", "skill_profiles")
FORECASTS = "SELECT count(*) FROM monitoring.skill_forecasts"


def computed(outcome):
    return {asset: outcome.metadata(asset)["developers_computed"] for asset in SKILLS}


def developers(platform):
    return platform.values("SELECT developer_id FROM marketplace.developers ORDER BY 1")


def test_every_stored_confidence_follows_exactly_from_its_stored_evidence(settled):
    stored = read_table(settled.database, tables.skill_profiles)
    again = profiles_from_evidence(read_evidence(settled.database, developers(settled)))

    both = stored.merge(again, on=["developer_id", "skill_id"], suffixes=("", "_again"), how="outer")
    assert len(both) == len(stored) == len(again) > 100
    assert (both["confidence"] == both["confidence_again"]).all()
    assert both["sources"].tolist() == both["sources_again"].tolist()


def test_only_developers_whose_inputs_changed_are_computed_again(settled):
    assert computed(settled.run(*SKILLS, with_checks=False)) == {"skill_evidence": 0, "skill_profiles": 0}

    settled.execute("UPDATE marketplace.developers SET display_name = 'Other', updated_at = now()")
    assert computed(settled.run(*SKILLS, with_checks=False)) == {"skill_evidence": 0, "skill_profiles": 0}

    settled.execute(
        "UPDATE marketplace.developers SET declared_skills = declared_skills || ARRAY['golang'] WHERE developer_id = 'dev_00003'"
    )
    settled.execute(
        "UPDATE platform.developer_repositories SET is_fork = NOT is_fork WHERE developer_id = "
        "(SELECT max(developer_id) FROM platform.developer_repositories)"
    )
    assert computed(settled.run(*SKILLS, with_checks=False)) == {"skill_evidence": 2, "skill_profiles": 2}


def test_another_day_makes_all_evidence_older(settled):
    tomorrow = settled.run(*SKILLS, now=NOW + dt.timedelta(days=1), with_checks=False)

    assert computed(tomorrow) == {"skill_evidence": 30, "skill_profiles": 30}
    assert set(settled.values("SELECT DISTINCT as_of FROM platform.skill_profiles")) == {
        pd.Timestamp(AS_OF + dt.timedelta(days=1))
    }


def test_evidence_that_somebody_deleted_comes_back(settled):
    before = settled.rows(skill_evidence)
    settled.execute(
        "DELETE FROM platform.skill_evidence WHERE source = 'declared' AND developer_id < 'dev_00004'"
    )

    settled.run(*SKILLS, with_checks=False)

    assert settled.rows(skill_evidence) == before


def test_a_fork_shows_in_the_ledger_and_counts_for_nothing(settled):
    settled.execute("UPDATE platform.developer_repositories SET is_fork = true")

    settled.run(*SKILLS, with_checks=False)

    weights = settled.values("SELECT DISTINCT weight FROM platform.skill_evidence WHERE source = 'github'")
    discounts = settled.values("SELECT discounts FROM platform.skill_evidence WHERE source = 'github'")
    assert weights == [0.0]
    assert all(each["fork"] == 0 for each in discounts)
    assert not settled.values("SELECT 1 FROM platform.skill_profiles WHERE 'github' = ANY(sources)")


# Forecasts


def test_a_young_marketplace_is_not_evaluated_and_not_red(settled):
    outcome = settled.run("skill_confidence")
    checks = {name: check for (_, name), check in outcome.checks().items()}

    assert outcome.metadata("skill_confidence")["calibration"] == "not evaluated"
    assert not outcome.broken_checks(ERROR)
    for name in ("brier", "auc", "ece_excess"):
        assert not checks[name].passed
        assert "not evaluated: 0 forecasts have an outcome" in checks[name].description
        assert "2027-11-01" in checks[name].description


def test_what_is_not_evaluated_yet_alerts_nobody(settled):
    settled.run("developer_profiles", "skill_confidence")

    settled.tell_of_checks(now=NOW)

    subjects = settled.values("SELECT subject FROM monitoring.system_alerts")
    assert "developer_profiles:failed_accounts" in subjects
    assert not [subject for subject in subjects if subject.startswith("skill_confidence")]


def test_forecasts_are_kept_once_a_month_for_accounts_that_can_be_read(settled):
    kept = settled.values(FORECASTS)
    later = settled.run(*SKILLS, "skill_confidence", now=NOW + dt.timedelta(days=3), with_checks=False)
    next_month = settled.run(*SKILLS, "skill_confidence", now=NOW + dt.timedelta(days=31), with_checks=False)

    assert later.metadata("skill_confidence")["forecasts_made"] == 0
    assert next_month.metadata("skill_confidence")["forecasts_made"] == kept[0] > 100
    assert not settled.values(
        "SELECT 1 FROM monitoring.skill_forecasts AS f JOIN platform.developer_profiles AS p USING (developer_id) "
        "WHERE p.fetched_at IS NULL"
    )


def test_the_sample_of_a_month_does_not_depend_on_who_else_is_there():
    everyone = [f"d{i}" for i in range(5_000)]
    november, december = (set(draw_sample(everyone, dt.date(2026, month, 7))) for month in (11, 12))
    fewer = set(draw_sample(everyone[:4_000], dt.date(2026, 11, 30)))

    assert len(november) == len(december) == len(fewer) == 2_000
    assert november != december
    assert november & set(everyone[:4_000]) <= fewer


def age_forecasts(platform, days):
    platform.execute(
        "UPDATE monitoring.skill_forecasts SET forecast_on = forecast_on - CAST(:days AS integer)", days=days
    )


def states(platform):
    rows = platform.database.read(
        skill_forecasts.select().with_only_columns(
            skill_forecasts.c.developer_id,
            skill_forecasts.c.skill_id,
            skill_forecasts.c.state,
            skill_forecasts.c.was_used,
        )
    )
    return rows[rows["state"] != "pending"]


def test_after_a_year_the_account_tells_what_came_of_a_forecast(settled):
    age_forecasts(settled, 365)
    idle = settled.values(
        "SELECT developer_id FROM platform.developer_evidence JOIN platform.developer_profiles USING (developer_id) "
        "WHERE fetched_at IS NOT NULL AND developer_evidence.commits_last_year_count < 3"
    )

    outcome = settled.run("skill_confidence", with_checks=False)

    settled_rows = states(settled)
    assert outcome.metadata("skill_confidence")["forecasts_settled"] == len(settled_rows) > 100
    assert set(settled_rows.loc[settled_rows["state"] == "inactive", "developer_id"]) <= set(idle)
    resolved = settled_rows[settled_rows["state"] == "resolved"]
    assert not set(resolved["developer_id"]) & set(idle)
    used = {(row.developer_id, row.skill_id) for row in resolved.itertuples() if row.was_used}
    ledger = settled.database.read(skill_evidence.select().where(skill_evidence.c.source == "github"))
    recent = (ledger["weight"] * ledger["commits_last_year_count"] / ledger["commits_count"]).groupby(
        [ledger["developer_id"], ledger["skill_id"]]
    )
    expected = {key for key, count in recent.sum().items() if count >= 0.5}
    assert used == {key for key in zip(resolved["developer_id"], resolved["skill_id"]) if key in expected}
    assert 0 < len(used) < len(resolved)
    again = settled.run("skill_confidence", with_checks=False)
    assert again.metadata("skill_confidence")["forecasts_settled"] == 0


@pytest.mark.parametrize(("age_days", "state"), [(364, None), (365 + 30, "resolved"), (365 + 31, "unread")])
def test_an_outcome_is_neither_read_too_early_nor_too_late(settled, age_days, state):
    age_forecasts(settled, age_days)

    settled.run("skill_confidence", with_checks=False)

    found = set(states(settled)["state"]) - {"inactive"}
    assert found == ({state} if state else set())
    assert (WINDOW + GRACE).days == 395


def test_an_account_that_was_not_read_since_waits_and_is_not_taken_for_idle(settled):
    age_forecasts(settled, 370)
    settled.execute("UPDATE platform.developer_profiles SET fetched_at = fetched_at - interval '10 days'")

    settled.run("skill_confidence", with_checks=False)

    assert states(settled).empty


def insert_outcomes(platform, truth, *, developers=120, each=8):
    """Forecasts of other developers that came of age, with outcomes that come true as the line says."""
    rng = np.random.default_rng(0)
    count = developers * each
    numbers = pd.DataFrame(
        {name: rng.uniform(1, 300, count) for name in HISTORY_COLUMNS if name != "skill_id"}
    ).assign(skill_id=[f"skill-{i % each}" for i in range(count)])[list(HISTORY_COLUMNS)]
    odds = log_odds(numbers)
    rows = pd.DataFrame(
        {
            "developer_id": [f"past-{i // each:03}" for i in range(count)],
            "skill_id": numbers["skill_id"],
            "forecast_on": AS_OF - WINDOW,
            "probability": Line().probabilities(odds),
            "sources": [["github"]] * count,
            "history": numbers.to_dict(orient="records"),
            "model_id": shipped_model().model_id,
            "state": "resolved",
            "was_used": rng.random(count) < truth.probabilities(odds),
            "resolved_on": AS_OF,
        }
    )
    platform.database.upsert(skill_forecasts, rows)


def test_a_model_that_proves_miscalibrated_is_corrected_and_every_confidence_follows(settled):
    insert_outcomes(settled, Line(-1.5, 0.6))
    before = settled.values("SELECT avg(confidence) FROM platform.skill_profiles")[0]

    outcome = settled.run("skill_confidence")
    followed = settled.run("skill_profiles")

    [row] = settled.database.read(confidence_models.select()).to_dict(orient="records")
    assert row["decision"] == "adopted"
    assert row["gain_low"] > 0
    assert outcome.metadata("skill_confidence")["correction"] == "adopted"
    assert ("skill_confidence", "ece_excess") in outcome.broken_checks(WARN)
    assert model_in_use(settled.database).model_id == row["model_id"]
    assert followed.metadata("skill_profiles")["developers_computed"] == 30
    assert not followed.broken_checks(ERROR)
    assert settled.values("SELECT DISTINCT model_id FROM platform.skill_profiles") == [row["model_id"]]
    assert settled.values("SELECT avg(confidence) FROM platform.skill_profiles")[0] < before
    # Nothing new came of age: nothing is decided again.
    again = settled.run("skill_confidence", "skill_profiles", now=NOW + dt.timedelta(hours=2))
    assert again.rows_written("skill_profiles") == 0
    assert len(settled.rows(confidence_models)) == 1


def test_a_model_that_proves_calibrated_is_kept_with_its_numbers(settled):
    insert_outcomes(settled, Line())

    outcome = settled.run("skill_confidence")

    [row] = settled.database.read(confidence_models.select()).to_dict(orient="records")
    assert row["decision"] == "rejected"
    assert model_in_use(settled.database) == shipped_model()
    assert outcome.checks()["skill_confidence", "ece_excess"].passed
    assert outcome.metadata("skill_confidence")["calibration"] == "measured on 960 forecasts"


def test_few_outcomes_are_measured_but_correct_nothing(settled):
    insert_outcomes(settled, Line(-3.0, 0.2), developers=40, each=4)

    settled.run("skill_confidence", with_checks=False)

    assert settled.values("SELECT forecasts_count FROM monitoring.confidence_measurements") == [160]
    assert settled.rows(confidence_models) == []


# explain skill


@pytest.fixture
def explain(settled, endpoints, monkeypatch):
    """The command over the small world, as a production whose services are off."""
    url = settled.database.engine.url.render_as_string(hide_password=False)
    for name, value in {
        "PLATFORM_DATABASE_URL": url,
        "PLATFORM_DAGSTER_DATABASE_URL": url,
        "PLATFORM_GITHUB_TOKEN": "off",
        "PLATFORM_STRIPE_API_KEY": "off",
        "PLATFORM_NEO4J_URI": "off",
        "PLATFORM_GEMINI_API_KEY": "off",
        "PLATFORM_NOTIFICATIONS": "off",
        "COLUMNS": "160",
    }.items():
        monkeypatch.setenv(name, value)

    def run(developer, skill, *more):
        return CliRunner().invoke(
            main, ["explain", "skill", "--developer", developer, "--skill", skill, *more]
        )

    return run


def surest(platform):
    return platform.database.read(
        tables.skill_profiles.select()
        .where(tables.skill_profiles.c.skill_id == "python")
        .order_by(tables.skill_profiles.c.confidence.desc())
        .limit(1)
    ).iloc[0]


def test_an_explanation_tells_the_stored_confidence_its_evidence_and_its_parts(settled, explain):
    row = surest(settled)

    told = json.loads(explain(row["developer_id"], "python3", "--json").stdout)
    shown = explain(row["developer_id"], "Python").stdout

    assert told["skill_id"] == "python"
    assert told["confidence"] == row["confidence"]
    assert 1 / (1 + np.exp(-sum(part["log_odds"] for part in told["parts"]))) == pytest.approx(
        row["confidence"]
    )
    assert {piece["reference"] for piece in told["evidence"]} == set(
        settled.values(
            "SELECT reference FROM platform.skill_evidence WHERE developer_id = :d AND skill_id = 'python'",
            d=row["developer_id"],
        )
    )
    assert "not evaluated here" in told["calibration"]
    assert f"confidence {row['confidence']:.3f}" in shown
    assert "share" in shown


def test_an_alias_is_the_skill(settled):
    found = find_explanation(settled.database, developer="dev_00001", skill="golang")

    assert (found.skill_id, found.skill_name) == ("go", "Go")


def test_a_skill_without_evidence_is_explained(explain):
    result = explain("dev_00001", "COBOL")

    assert result.exit_code == 0
    assert "nothing supports it" in result.stdout
    assert json.loads(explain("dev_00001", "COBOL", "--json").stdout)["confidence"] is None


def test_a_skill_whose_evidence_is_all_discounted_is_explained(settled, explain):
    row = surest(settled)
    settled.execute("UPDATE platform.developer_repositories SET is_fork = true")
    settled.execute("UPDATE marketplace.developers SET declared_skills = '{}', bio = NULL")
    settled.execute("UPDATE marketplace.contracts SET skills_used = '{}'")
    settled.run("developer_text_skills", *SKILLS, with_checks=False)

    shown = explain(row["developer_id"], "Python").stdout

    assert "fork × 0" in shown
    assert "Nothing that counts supports it" in shown


@pytest.mark.parametrize(
    ("developer", "skill", "told"),
    [
        ("dev_0001", "Go", "there are 'dev_000"),
        ("dev_00001", "Pyhton", "'Python'"),
        ("nobody at all", "Go", "There is no developer 'nobody at all'"),
        ("dev_00001", "", "There is no skill ''"),
        ("dev_00001'; DROP TABLE x", "Go", "There is no developer"),
    ],
)
def test_an_unknown_name_is_told_with_what_is_near(explain, developer, skill, told):
    result = explain(developer, skill)

    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.output


def test_a_developer_whose_evidence_was_not_collected_yet_is_told_what_to_do(fresh):
    fresh.run("skill_evidence", "skill_profiles", with_checks=False)
    fresh.execute("DELETE FROM platform.developer_evidence")

    with pytest.raises(UnknownNameError, match="platform-assets run"):
        find_explanation(fresh.database, developer="dev_00001", skill="Go")
