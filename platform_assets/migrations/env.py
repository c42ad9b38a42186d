"""What Alembic runs for every command: which metadata, which schemas, on the connection that `migrate` hands over."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from pgvector.sqlalchemy import Vector

from platform_assets.migrations.migrate import SCHEMAS, VERSION_SCHEMA
from platform_assets.tables import (  # noqa: F401  (some only add their tables to a schema's)
    monitoring,
    payments,
    platform,
    recovery,
    skill_graph,
)


def _is_ours(name: str | None, type_: str, parent_names: Any) -> bool:
    return type_ != "schema" or name in SCHEMAS


def _render_type(type_: str, item: Any, autogen_context: AutogenContext) -> str | Literal[False]:
    if type_ != "type" or not isinstance(item, Vector):
        return False
    autogen_context.imports.add("from pgvector.sqlalchemy import Vector")
    return f"Vector({item.dim})"


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[platform.metadata, monitoring.metadata],
    version_table_schema=VERSION_SCHEMA,
    include_schemas=True,
    include_name=_is_ours,
    render_item=_render_type,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
