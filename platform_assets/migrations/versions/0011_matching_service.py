"""Analytics, weights, tuning and health of the matching; the search index and the application's search function."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("now()")

SEARCH = """
CREATE FUNCTION platform.search_developers(
    query {vectors}.vector,
    max_results integer DEFAULT 20,
    max_hourly_rate_minor bigint DEFAULT NULL,
    rate_currency text DEFAULT NULL,
    available_by date DEFAULT NULL,
    time_zones text[] DEFAULT NULL,
    excluded_developer_ids text[] DEFAULT '{{}}'
) RETURNS TABLE (developer_id text, facet text, similarity double precision)
LANGUAGE plpgsql STABLE ROWS 20
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
SET hnsw.iterative_scan = relaxed_order
SET hnsw.ef_search = 40
AS $function$
#variable_conflict use_column
DECLARE
    latest date := coalesce(available_by, current_date + 14);
    facets_count integer := greatest(4 * max_results, 40);
    seen_count integer;
    ids text[];
    facets text[];
    similarities double precision[];
BEGIN
    IF query IS NULL OR vector_norm(query) = 0 THEN
        RAISE EXCEPTION 'the query is no direction: it is null or zero' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF max_hourly_rate_minor IS NOT NULL AND rate_currency IS NULL THEN
        RAISE EXCEPTION 'max_hourly_rate_minor says nothing without rate_currency'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF max_results < 1 THEN
        RAISE EXCEPTION 'max_results is %, and must be at least 1', max_results
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    LOOP
        WITH nearest AS MATERIALIZED (
            SELECT v.developer_id, v.facet, 1 - (v.vector <=> query) AS similarity
            FROM platform.developer_vectors AS v
            JOIN marketplace.developers AS d ON d.developer_id = v.developer_id
            WHERE {filters}
            ORDER BY v.vector <=> query
            LIMIT facets_count
        ), {best}
        SELECT array_agg(b.developer_id ORDER BY b.similarity DESC, b.developer_id),
               array_agg(b.facet ORDER BY b.similarity DESC, b.developer_id),
               array_agg(b.similarity ORDER BY b.similarity DESC, b.developer_id),
               (SELECT count(*) FROM nearest)
        INTO ids, facets, similarities, seen_count
        FROM best AS b;
        EXIT WHEN cardinality(ids) = max_results;
        IF seen_count < facets_count THEN
            -- The index gave up (hnsw.max_scan_tuples) or everybody was seen: under a filter this narrow the exact
            -- answer is cheap, and no row may be missing.
            WITH nearest AS MATERIALIZED (
                SELECT v.developer_id, v.facet, 1 - (v.vector <=> query) AS similarity
                FROM platform.developer_vectors AS v
                JOIN marketplace.developers AS d ON d.developer_id = v.developer_id
                WHERE {filters}
            ), {best}
            SELECT array_agg(b.developer_id ORDER BY b.similarity DESC, b.developer_id),
                   array_agg(b.facet ORDER BY b.similarity DESC, b.developer_id),
                   array_agg(b.similarity ORDER BY b.similarity DESC, b.developer_id)
            INTO ids, facets, similarities
            FROM best AS b;
            EXIT;
        END IF;
        facets_count := 4 * facets_count;
    END LOOP;
    RETURN QUERY SELECT * FROM unnest(ids, facets, similarities);
END
$function$
"""

FILTERS = """d.is_active
                AND d.available_from <= latest
                AND (max_hourly_rate_minor IS NULL OR d.hourly_rate_minor IS NULL
                     OR (d.hourly_rate_minor <= max_hourly_rate_minor AND d.currency = rate_currency))
                AND (time_zones IS NULL OR d.time_zone IS NULL OR d.time_zone = ANY (time_zones))
                AND d.developer_id <> ALL (excluded_developer_ids)"""

BEST = """best AS (
            SELECT * FROM (
                SELECT DISTINCT ON (n.developer_id) n.developer_id, n.facet, n.similarity
                FROM nearest AS n
                ORDER BY n.developer_id, n.similarity DESC, n.facet
            ) AS n
            ORDER BY n.similarity DESC, n.developer_id
            LIMIT max_results
        )"""

SEARCH_COMMENT = (
    "The developers nearest to a vector among those who are active, free by a day (default: in two weeks), within a "
    "rate, in one of some time zones, and not excluded: each once, with the side of their work that is nearest. Exactly "
    "max_results rows wherever so many pass."
)


def _required(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=False, **options)


def _optional(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=True, **options)


def upgrade() -> None:
    op.add_column(
        "matches",
        _required(
            "placement",
            sa.Text(),
            server_default="score",
            comment="How the row got its place: by `score`, `capped`, as `newcomer` or `explored` (see matching.rerank).",
        ),
        schema="platform",
    )
    op.create_table(
        "matching_analytics",
        _required("day", sa.Date(), comment="UTC day for which it was measured."),
        _required("metric", sa.Text(), comment="What was measured, such as `coverage_ratio`."),
        _required(
            "segment",
            sa.Text(),
            comment="Part that it is about, such as a step of the funnel or a skill; `all` for the whole.",
        ),
        _required("value", sa.Double(), comment="The measured value."),
        _required("unit", sa.Text(), comment="Unit of the value, such as `ratio` or `hours`."),
        _required("items_count", sa.Integer(), comment="Projects, pairs or developers behind the value."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("day", "metric", "segment"),
        schema="platform",
        comment="One row is one measure of the matching on one day, for one segment.",
    )
    op.create_table(
        "matching_weights",
        _required("version", sa.Text(), comment="SHA-256 of the weights."),
        _required("weights", pg.JSONB(), comment="Term of the score to its weight."),
        _required("source", sa.Text(), comment="`packaged`, or `outcomes` they were learned from."),
        _required("evidence", pg.JSONB(), comment="The numbers that spoke for them."),
        _required("decided_on", sa.Date(), comment="UTC day of the decision."),
        _required(
            "in_use_from",
            sa.Date(),
            comment="First UTC day of their use, so that all of a day's scores are of one kind; the latest one counts.",
        ),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("version"),
        schema="platform",
        comment="One row is one set of weights of the match score that is or was in use.",
    )
    op.create_table(
        "matching_tuning",
        _required("decision_id", sa.BigInteger(), sa.Identity(always=True), comment="Id of the decision."),
        _required("decided_at", INSTANT, comment="When it was decided."),
        _required("topic", sa.Text(), comment="`weights`, `search_index` or `upkeep`."),
        _required("subject", sa.Text(), comment="The score, or the table or index it is about."),
        _required("decision", sa.Text(), comment="What was done, such as `kept` or `vacuum`."),
        _required("reason", sa.Text(), comment="Why, in one sentence."),
        _required("numbers", pg.JSONB(), comment="What was tried and measured."),
        sa.PrimaryKeyConstraint("decision_id"),
        schema="monitoring",
        comment="One row is one decision of the matching's tuning, with the numbers it rests on.",
    )
    op.create_index("ix_matching_tuning_decided", "matching_tuning", ["decided_at"], schema="monitoring")
    op.create_table(
        "matching_service_health",
        _required(
            "measurement_id", sa.BigInteger(), sa.Identity(always=True), comment="Id of the measurement."
        ),
        _required("measured_at", INSTANT, comment="When it was measured."),
        _required("pages_count", sa.Integer(), comment="Match pages of open projects asked for."),
        _required("errors_count", sa.Integer(), comment="Of these, failed or timed out."),
        _required("empty_count", sa.Integer(), comment="Of these, without a match."),
        _optional("latency_p50_ms", sa.Double(), comment="Median time of a page; null when none came."),
        _optional("latency_p95_ms", sa.Double(), comment="95th percentile of it; null when none came."),
        _optional(
            "stalest_days",
            sa.Integer(),
            comment="Days since the day for which the oldest list of the sample was computed; null when there is none.",
        ),
        _required("searches_count", sa.Integer(), comment="Searches compared with the exact answer."),
        _required("search_errors_count", sa.Integer(), comment="Of these, failed or timed out."),
        _optional(
            "search_recall",
            sa.Double(),
            comment="Mean share of the exact answer that the index found under real filters; null when none was compared.",
        ),
        _optional(
            "search_p95_ms",
            sa.Double(),
            comment="95th percentile of a search's time; null when none came.",
        ),
        _optional("failure", sa.Text(), comment="What the last failed query said; null when none failed."),
        sa.PrimaryKeyConstraint("measurement_id"),
        schema="monitoring",
        comment="One row is one look at the matching as the application sees it: its queries, timed and compared.",
    )
    op.create_index(
        "ix_matching_service_health_measured", "matching_service_health", ["measured_at"], schema="monitoring"
    )
    op.create_index(
        "ix_developer_vectors_vector",
        "developer_vectors",
        ["vector"],
        schema="platform",
        postgresql_using="hnsw",
        postgresql_ops={"vector": "vector_cosine_ops"},
    )
    _create_search()


def _create_search() -> None:
    connection = op.get_bind()
    vectors = connection.scalar(
        sa.text(
            "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace "
            "WHERE extname = 'vector'"
        )
    )
    # Its parameters are unknown to a session, and refused to all but superusers, until the extension is loaded.
    connection.execute(sa.text(f"SELECT '[1]'::{vectors}.vector"))
    before = connection.scalar(sa.text("SELECT current_setting('search_path')"))
    connection.exec_driver_sql(f"SET LOCAL search_path = pg_catalog, {vectors}")
    connection.execute(sa.text(SEARCH.format(vectors=vectors, filters=FILTERS, best=BEST)))
    connection.execute(sa.text(f"COMMENT ON FUNCTION platform.search_developers IS '{SEARCH_COMMENT}'"))
    connection.exec_driver_sql(f"SET LOCAL search_path = {before}")


def downgrade() -> None:
    op.execute("DROP FUNCTION platform.search_developers")
    op.drop_index("ix_developer_vectors_vector", "developer_vectors", schema="platform")
    for table in ("matching_service_health", "matching_tuning"):
        op.drop_table(table, schema="monitoring")
    for table in ("matching_weights", "matching_analytics"):
        op.drop_table(table, schema="platform")
    op.drop_column("matches", "placement", schema="platform")
