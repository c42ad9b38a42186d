"""Tables of the evidence behind skills: the ledger (schema `platform`), and what became of forecasts (`monitoring`)."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.tables.monitoring import metadata as monitoring
from platform_assets.tables.platform import Instant, as_of, metadata, updated_at

skill_evidence = sa.Table(
    "skill_evidence",
    metadata,
    sa.Column("developer_id", sa.Text, primary_key=True, comment="The marketplace's developer."),
    sa.Column("skill_id", sa.Text, primary_key=True, comment="The skill."),
    sa.Column(
        "source",
        sa.Text,
        primary_key=True,
        comment="`declared`, `github`, `text` or `contract`: who says so.",
    ),
    sa.Column(
        "reference",
        sa.Text,
        primary_key=True,
        comment="`owner/name` of the repository, or of the one whose README it is; id of the contract; else empty.",
    ),
    sa.Column("quote", sa.Text, comment="The words that name the skill, as written; null for commits."),
    sa.Column(
        "share",
        sa.Double,
        comment="Part of the repository's commits that the skill has, from 0 to 1; null but for commits.",
    ),
    sa.Column("commits_count", sa.Integer, comment="Own commits in the repository; null but for commits."),
    sa.Column(
        "commits_last_year_count",
        sa.Integer,
        comment="Those of the 365 days before it was read; null but for commits.",
    ),
    sa.Column("first_used_on", sa.Date, comment="Day of the first use; null for claims, which have none."),
    sa.Column("last_used_on", sa.Date, comment="Day of the latest use; null for claims, which have none."),
    sa.Column("age_days", sa.Integer, comment="Days from the latest use to `as_of`; null for claims."),
    sa.Column(
        "discounts",
        pg.JSONB,
        nullable=False,
        comment="Name of each discount and its factor below 1; empty when everything counts.",
    ),
    sa.Column(
        "weight",
        sa.Double,
        nullable=False,
        comment="What counts after discounts: commits, the confidence that a claim has by itself, or a contract's strength from 0 to 1.",
    ),
    as_of(),
    updated_at(),
    sa.CheckConstraint("source IN ('declared', 'github', 'text', 'contract')", name="source_is_known"),
    sa.CheckConstraint("weight >= 0", name="weight_is_not_negative"),
    comment="One row is one piece of evidence that a developer has a skill; each confidence is computed from these.",
)

developer_evidence = sa.Table(
    "developer_evidence",
    metadata,
    sa.Column("developer_id", sa.Text, primary_key=True, comment="The marketplace's developer."),
    sa.Column(
        "inputs_sha256",
        sa.Text,
        nullable=False,
        comment="SHA-256 over everything the evidence was computed from; it is computed again when this changes.",
    ),
    sa.Column("evidence_count", sa.Integer, nullable=False, comment="Rows of the ledger."),
    sa.Column("commits_count", sa.Integer, nullable=False, comment="Own commits of any kind."),
    sa.Column(
        "commits_last_year_count",
        sa.Integer,
        nullable=False,
        comment="Own commits of any kind in the 365 days before they were read.",
    ),
    sa.Column("first_contributed_on", sa.Date, comment="Day of the first own commit; null without any."),
    sa.Column("last_contributed_on", sa.Date, comment="Day of the latest own commit; null without any."),
    sa.Column(
        "counted_last_year_count",
        sa.Double,
        nullable=False,
        comment="What counts of the own commits of the last year, after discounts.",
    ),
    sa.Column(
        "counted_from_on", sa.Date, comment="Day of the first own commit that counts; null without any."
    ),
    as_of(),
    updated_at(),
    comment="One row is the whole of a developer's own work, which each skill's evidence is measured against.",
)

skill_forecasts = sa.Table(
    "skill_forecasts",
    monitoring,
    sa.Column("developer_id", sa.Text, primary_key=True, comment="The marketplace's developer."),
    sa.Column("skill_id", sa.Text, primary_key=True, comment="The skill."),
    sa.Column("forecast_on", sa.Date, primary_key=True, comment="UTC day for which it was forecast."),
    sa.Column(
        "probability", sa.Double, nullable=False, comment="The confidence as it was told, from 0 to 1."
    ),
    sa.Column(
        "sources", pg.ARRAY(sa.Text), nullable=False, comment="What supported it, as in `skill_profiles`."
    ),
    sa.Column(
        "history",
        pg.JSONB,
        comment="The commit history that it came from (see profiles.confidence); null when there was none.",
    ),
    sa.Column("model_id", sa.Text, nullable=False, comment="The model that forecast it."),
    sa.Column(
        "state",
        sa.Text,
        nullable=False,
        comment="`pending`; `resolved`; `inactive` (fewer than 3 commits of any kind, so that it says nothing); `unread` (the account was not read in time).",
    ),
    sa.Column(
        "was_used", sa.Boolean, comment="Whether a commit with the skill followed; null until resolved."
    ),
    sa.Column(
        "resolved_on", sa.Date, comment="Day on which the outcome was read from GitHub; null until then."
    ),
    sa.CheckConstraint("state IN ('pending', 'resolved', 'inactive', 'unread')", name="state_is_known"),
    sa.CheckConstraint(
        "(state = 'resolved') = (was_used IS NOT NULL)", name="outcome_is_known_when_resolved"
    ),
    sa.Index("ix_skill_forecasts_state", "state", "forecast_on"),
    comment="One row is one forecast that a developer will use a skill within 365 days, and what became of it.",
)

confidence_measurements = sa.Table(
    "confidence_measurements",
    monitoring,
    sa.Column("measured_on", sa.Date, primary_key=True, comment="UTC day of the measurement."),
    sa.Column("forecasts_count", sa.Integer, nullable=False, comment="Forecasts with an outcome."),
    sa.Column("developers_count", sa.Integer, nullable=False, comment="Their developers."),
    sa.Column("used_ratio", sa.Double, nullable=False, comment="Share of them that came true."),
    sa.Column("brier", sa.Double, nullable=False, comment="Brier score."),
    sa.Column("auc", sa.Double, comment="Area under the ROC curve; null when all outcomes are alike."),
    sa.Column("ece", sa.Double, nullable=False, comment="Expected calibration error over 10 bins."),
    sa.Column(
        "ece_reference_high",
        sa.Double,
        nullable=False,
        comment="What a perfectly calibrated forecaster stays below 97.5 times in 100, on as many rows.",
    ),
    comment="One row says how well the confidences told a year before came true, as far as known on that day.",
)

confidence_models = sa.Table(
    "confidence_models",
    monitoring,
    sa.Column("base_model_id", sa.Text, primary_key=True, comment="The shipped model that it corrects."),
    sa.Column("decided_on", sa.Date, primary_key=True, comment="UTC day of the decision."),
    sa.Column("model_id", sa.Text, nullable=False, comment="The corrected model."),
    sa.Column("calibration_intercept", sa.Double, nullable=False, comment="Added to the corrected log-odds."),
    sa.Column("calibration_slope", sa.Double, nullable=False, comment="Factor of the log-odds."),
    sa.Column("forecasts_count", sa.Integer, nullable=False, comment="Forecasts that it was fitted on."),
    sa.Column("developers_count", sa.Integer, nullable=False, comment="Their developers."),
    sa.Column(
        "brier_in_use",
        sa.Double,
        nullable=False,
        comment="Brier score of the model in use, on the same rows.",
    ),
    sa.Column(
        "brier", sa.Double, nullable=False, comment="Brier score on developers that each fit had not seen."
    ),
    sa.Column("gain_low", sa.Double, nullable=False, comment="Lower end of the 99 % interval of the gain."),
    sa.Column("gain_high", sa.Double, nullable=False, comment="Upper end of it."),
    sa.Column("decision", sa.Text, nullable=False, comment="`adopted` or `rejected`."),
    sa.Column("decided_at", Instant, nullable=False, comment="When it was decided."),
    sa.CheckConstraint("decision IN ('adopted', 'rejected')", name="decision_is_known"),
    comment="One row is one correction of the confidence model that was fitted, and whether it is used; the latest adopted one is.",
)
