"""The confidence model: sane on every history, and monotone where it has to be."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.profiles.confidence import (
    COUNTED_COLUMNS,
    DIRECTIONS,
    HISTORY_COLUMNS,
    MEASURE_COLUMNS,
    confidence,
    history_features,
    log_odds,
    log_odds_parts,
    shipped_model,
    sigmoid,
)
from platform_assets.profiles.vocabulary import packaged_vocabulary

TYPICAL = {
    "skill_id": "go",
    "commits_count": 40.0,
    "commits_total_count": 100.0,
    "days_since_last_use": 30,
    "days_since_last_commit": 10,
    "active_months": 8.0,
    "commits_before_last_year_count": 30.0,
    "tenure_days": 900,
    "career_days": 900,
    "commits_last_year_count": 10.0,
    "commits_total_last_year_count": 30.0,
}


def _history(**changes: object) -> pd.DataFrame:
    return pd.DataFrame([TYPICAL | changes])


def _confidence(**changes: object) -> float:
    return float(confidence(_history(**changes))[0])


def test_more_and_more_recent_use_is_surer() -> None:
    assert _confidence() > 0.8
    assert _confidence(days_since_last_use=800, commits_last_year_count=0.0) < 0.6
    assert _confidence(commits_last_year_count=25.0) > _confidence()
    assert _confidence(commits_count=1.0, commits_last_year_count=0.0, active_months=1.0) < _confidence()


def test_a_skill_that_was_not_in_the_fit_has_no_offset() -> None:
    assert _confidence(skill_id="basket-weaving") == _confidence(skill_id="underwater-hockey")
    assert (
        _confidence(skill_id="makefile")
        < _confidence(skill_id="basket-weaving")
        < _confidence(skill_id="rust")
    )


def test_the_shipped_model_names_every_feature_and_known_skills() -> None:
    model = shipped_model()
    assert list(history_features(_history()).columns) != []
    assert set(model.weights) == set(history_features(_history()).columns) == set(DIRECTIONS)
    assert all(weight * DIRECTIONS[name] >= 0 for name, weight in model.weights.items())
    assert set(model.skill_offsets) <= set(packaged_vocabulary().by_id)


_COUNTS = st.floats(0, 1e6)


@given(
    commits_count=st.floats(0.5, 1e6),
    commits_total_count=_COUNTS,
    days_since_last_use=st.integers(0, 20_000),
    days_since_last_commit=st.integers(0, 20_000),
    active_months=_COUNTS,
    tenure_days=st.integers(0, 20_000),
    career_days=st.integers(0, 20_000),
    commits_before_last_year_count=_COUNTS,
    commits_last_year_count=_COUNTS,
    commits_total_last_year_count=_COUNTS,
)
def test_every_history_has_a_probability(**values: float) -> None:
    assert 0 <= _confidence(**values) <= 1


_FALLING = {"days_since_last_use", *MEASURE_COLUMNS} - {"days_since_last_commit"}


@given(
    name=st.sampled_from(sorted(COUNTED_COLUMNS | MEASURE_COLUMNS)),
    low=st.floats(0, 5_000),
    more=st.floats(0, 5_000),
)
def test_what_counts_never_lowers_and_what_it_is_measured_against_never_raises(
    name: str, low: float, more: float
) -> None:
    less, greater = _confidence(**{name: low}), _confidence(**{name: low + more})

    # The longer ago the developer's own latest commit, the less a pause is held against the skill.
    assert greater <= less + 1e-12 if name in _FALLING else greater >= less - 1e-12


def test_the_parts_add_up_to_the_log_odds_whatever_the_correction() -> None:
    model = dataclasses.replace(shipped_model(), calibration_intercept=-0.5, calibration_slope=0.7)
    parts = log_odds_parts(_history(), model=model)

    assert parts.sum(axis=1)[0] == pytest.approx(log_odds(_history(), model=model)[0])
    assert log_odds(_history(), model=model)[0] == pytest.approx(-0.5 + 0.7 * log_odds(_history())[0])
    assert model.model_id != shipped_model().model_id


def test_no_histories_have_no_probabilities() -> None:
    assert confidence(pd.DataFrame(columns=list(HISTORY_COLUMNS))).shape == (0,)


def test_a_row_does_not_depend_on_the_others() -> None:
    both = pd.concat([_history(), _history(skill_id="rust", commits_count=1.0)])
    assert confidence(both)[0] == _confidence()


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_a_history_that_cannot_be_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="tenure_days"):
        _confidence(tenure_days=bad)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match="active_months"):
        confidence(_history().drop(columns="active_months"))


def test_extreme_log_odds_do_not_overflow() -> None:
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]
