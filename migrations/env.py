"""Alembic environment. `flask db` supplies the connection."""

from alembic import context

from api import models  # noqa: F401 (registers every table in the metadata)
from api.db.base import Base
from api.db.types import UTCDateTime


def render_item(kind, item, autogenerate_context):
    """Render our types as SQLAlchemy types, so that migrations do not depend on our code."""
    if kind == 'type' and isinstance(item, UTCDateTime):
        return 'sa.DateTime(timezone=True)'
    return False


context.configure(
    connection=context.config.attributes['connection'],
    target_metadata=Base.metadata,
    render_as_batch=True,
    render_item=render_item,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
