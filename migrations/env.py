"""alembic's environment: `flask db` gives it the connection."""

from alembic import context

from api import models  # noqa: F401 (so that the metadata knows every table)
from api.db.base import Base
from api.db.types import UTCDateTime


def render_item(kind, item, autogenerate_context):
    """Migrations name SQLAlchemy's own types, so that they outlive ours."""
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
