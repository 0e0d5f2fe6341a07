"""Add stored responses of requests with an Idempotency-Key."""

import sqlalchemy as sa
from alembic import op

revision = '8a4e2d90b7f1'
down_revision = '5d1f0a83c2b6'
branch_labels = None
depends_on = None

big = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table(
        'kept_answers',
        sa.Column('id', big, nullable=False),
        sa.Column('user_id', big),
        sa.Column('digest', sa.LargeBinary(32), nullable=False),
        sa.Column('fingerprint', sa.LargeBinary(32), nullable=False),
        sa.Column('sealed', sa.LargeBinary(), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_kept_answers'),
        sa.ForeignKeyConstraint(['user_id'], ['users.id'], 'fk_kept_answers_user_id_users', ondelete='CASCADE'),
        sa.UniqueConstraint('digest', name='uq_kept_answers_digest'),
        sqlite_autoincrement=True,
    )
    op.create_index('ix_kept_answers_user_id', 'kept_answers', ['user_id'])
    op.create_index('ix_kept_answers_created_at', 'kept_answers', ['created_at'])


def downgrade() -> None:
    op.drop_table('kept_answers')
