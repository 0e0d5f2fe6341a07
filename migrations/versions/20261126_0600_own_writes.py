"""Add the time of a user's last write, which decides whether they read from a replica."""

import sqlalchemy as sa
from alembic import op

revision = 'c71e5d0b94a3'
down_revision = '8a4e2d90b7f1'
branch_labels = None
depends_on = None


def upgrade() -> None:
    # No batch: copying the table would lose the indexes on lower(username) and lower(email).
    op.add_column('users', sa.Column('wrote_at', sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column('users', 'wrote_at')
