"""The ledger of evidence behind skills, forecasts and what became of them, and corrections of the confidence model."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def _required(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=False, **options)


def _optional(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=True, **options)


def upgrade() -> None:
    op.create_table(
        "skill_evidence",
        _required("developer_id", sa.Text(), comment="The marketplace's developer."),
        _required("skill_id", sa.Text(), comment="The skill."),
        _required("source", sa.Text(), comment="`declared`, `github`, `text` or `contract`: who says so."),
        _required(
            "reference",
            sa.Text(),
            comment="`owner/name` of the repository, or of the one whose README it is; id of the contract; else empty.",
        ),
        _optional("quote", sa.Text(), comment="The words that name the skill, as written; null for commits."),
        _optional(
            "share",
            sa.Double(),
            comment="Part of the repository's commits that the skill has, from 0 to 1; null but for commits.",
        ),
        _optional(
            "commits_count", sa.Integer(), comment="Own commits in the repository; null but for commits."
        ),
        _optional(
            "commits_last_year_count",
            sa.Integer(),
            comment="Those of the 365 days before it was read; null but for commits.",
        ),
        _optional(
            "first_used_on", sa.Date(), comment="Day of the first use; null for claims, which have none."
        ),
        _optional(
            "last_used_on", sa.Date(), comment="Day of the latest use; null for claims, which have none."
        ),
        _optional("age_days", sa.Integer(), comment="Days from the latest use to `as_of`; null for claims."),
        _required(
            "discounts",
            postgresql.JSONB(),
            comment="Name of each discount and its factor below 1; empty when everything counts.",
        ),
        _required(
            "weight",
            sa.Double(),
            comment="What counts after discounts: commits, the confidence that a claim has by itself, or a contract's strength from 0 to 1.",
        ),
        _required("as_of", sa.Date(), comment="UTC day for which the row was computed."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("developer_id", "skill_id", "source", "reference"),
        sa.CheckConstraint("weight >= 0", name="weight_is_not_negative"),
        sa.CheckConstraint("source IN ('declared', 'github', 'text', 'contract')", name="source_is_known"),
        schema="platform",
        comment="One row is one piece of evidence that a developer has a skill; each confidence is computed from these.",
    )
    op.create_table(
        "developer_evidence",
        _required("developer_id", sa.Text(), comment="The marketplace's developer."),
        _required(
            "inputs_sha256",
            sa.Text(),
            comment="SHA-256 over everything the evidence was computed from; it is computed again when this changes.",
        ),
        _required("evidence_count", sa.Integer(), comment="Rows of the ledger."),
        _required("commits_count", sa.Integer(), comment="Own commits of any kind."),
        _required(
            "commits_last_year_count",
            sa.Integer(),
            comment="Own commits of any kind in the 365 days before they were read.",
        ),
        _optional(
            "first_contributed_on", sa.Date(), comment="Day of the first own commit; null without any."
        ),
        _optional(
            "last_contributed_on", sa.Date(), comment="Day of the latest own commit; null without any."
        ),
        _required(
            "counted_last_year_count",
            sa.Double(),
            comment="What counts of the own commits of the last year, after discounts.",
        ),
        _optional(
            "counted_from_on", sa.Date(), comment="Day of the first own commit that counts; null without any."
        ),
        _required("as_of", sa.Date(), comment="UTC day for which the row was computed."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("developer_id"),
        schema="platform",
        comment="One row is the whole of a developer's own work, which each skill's evidence is measured against.",
    )
    op.create_table(
        "skill_forecasts",
        _required("developer_id", sa.Text(), comment="The marketplace's developer."),
        _required("skill_id", sa.Text(), comment="The skill."),
        _required("forecast_on", sa.Date(), comment="UTC day for which it was forecast."),
        _required("probability", sa.Double(), comment="The confidence as it was told, from 0 to 1."),
        _required(
            "sources", postgresql.ARRAY(sa.Text()), comment="What supported it, as in `skill_profiles`."
        ),
        _optional(
            "history",
            postgresql.JSONB(),
            comment="The commit history that it came from (see profiles.confidence); null when there was none.",
        ),
        _required("model_id", sa.Text(), comment="The model that forecast it."),
        _required(
            "state",
            sa.Text(),
            comment="`pending`; `resolved`; `inactive` (fewer than 3 commits of any kind, so that it says nothing); `unread` (the account was not read in time).",
        ),
        _optional(
            "was_used", sa.Boolean(), comment="Whether a commit with the skill followed; null until resolved."
        ),
        _optional(
            "resolved_on",
            sa.Date(),
            comment="Day on which the outcome was read from GitHub; null until then.",
        ),
        sa.PrimaryKeyConstraint("developer_id", "skill_id", "forecast_on"),
        sa.CheckConstraint(
            "(state = 'resolved') = (was_used IS NOT NULL)", name="outcome_is_known_when_resolved"
        ),
        sa.CheckConstraint("state IN ('pending', 'resolved', 'inactive', 'unread')", name="state_is_known"),
        schema="monitoring",
        comment="One row is one forecast that a developer will use a skill within 365 days, and what became of it.",
    )
    op.create_index(
        "ix_skill_forecasts_state", "skill_forecasts", ["state", "forecast_on"], schema="monitoring"
    )
    op.create_table(
        "confidence_measurements",
        _required("measured_on", sa.Date(), comment="UTC day of the measurement."),
        _required("forecasts_count", sa.Integer(), comment="Forecasts with an outcome."),
        _required("developers_count", sa.Integer(), comment="Their developers."),
        _required("used_ratio", sa.Double(), comment="Share of them that came true."),
        _required("brier", sa.Double(), comment="Brier score."),
        _optional("auc", sa.Double(), comment="Area under the ROC curve; null when all outcomes are alike."),
        _required("ece", sa.Double(), comment="Expected calibration error over 10 bins."),
        _required(
            "ece_reference_high",
            sa.Double(),
            comment="What a perfectly calibrated forecaster stays below 97.5 times in 100, on as many rows.",
        ),
        sa.PrimaryKeyConstraint("measured_on"),
        schema="monitoring",
        comment="One row says how well the confidences told a year before came true, as far as known on that day.",
    )
    op.create_table(
        "confidence_models",
        _required("base_model_id", sa.Text(), comment="The shipped model that it corrects."),
        _required("decided_on", sa.Date(), comment="UTC day of the decision."),
        _required("model_id", sa.Text(), comment="The corrected model."),
        _required("calibration_intercept", sa.Double(), comment="Added to the corrected log-odds."),
        _required("calibration_slope", sa.Double(), comment="Factor of the log-odds."),
        _required("forecasts_count", sa.Integer(), comment="Forecasts that it was fitted on."),
        _required("developers_count", sa.Integer(), comment="Their developers."),
        _required("brier_in_use", sa.Double(), comment="Brier score of the model in use, on the same rows."),
        _required("brier", sa.Double(), comment="Brier score on developers that each fit had not seen."),
        _required("gain_low", sa.Double(), comment="Lower end of the 99 % interval of the gain."),
        _required("gain_high", sa.Double(), comment="Upper end of it."),
        _required("decision", sa.Text(), comment="`adopted` or `rejected`."),
        _required("decided_at", INSTANT, comment="When it was decided."),
        sa.PrimaryKeyConstraint("base_model_id", "decided_on"),
        sa.CheckConstraint("decision IN ('adopted', 'rejected')", name="decision_is_known"),
        schema="monitoring",
        comment="One row is one correction of the confidence model that was fitted, and whether it is used; the latest adopted one is.",
    )
    for name, comment in (
        ("evidence_sha256", "Digest of its evidence."),
        ("model_id", "Model that weighed commits."),
    ):
        op.add_column(
            "skill_profiles",
            _required(name, sa.Text(), comment=comment, server_default=""),
            schema="platform",
        )
    for name, comment, was in COMMENTS:
        _comment(name, comment, was)


def downgrade() -> None:
    for name, comment, was in COMMENTS:
        _comment(name, was, comment)
    for name in ("model_id", "evidence_sha256"):
        op.drop_column("skill_profiles", name, schema="platform")
    for name in ("confidence_models", "confidence_measurements", "skill_forecasts"):
        op.drop_table(name, schema="monitoring")
    for name in ("developer_evidence", "skill_evidence"):
        op.drop_table(name, schema="platform")


COMMENTS = (
    (
        "sources",
        "What supports it: `declared`, `github`, `text`, `contract`.",
        "What supports it: `declared`, `github`, `bio`, `contract`.",
    ),
    (
        "commits_count",
        "Own commits attributed to the skill that count; fractional where shared or discounted.",
        "Own commits attributed to the skill; fractional where shared.",
    ),
)


def _comment(name: str, comment: str, was: str) -> None:
    op.alter_column("skill_profiles", name, schema="platform", comment=comment, existing_comment=was)
