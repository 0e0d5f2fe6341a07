"""Add personal access tokens, verified e-mail addresses, disabled accounts and the outbox."""

import sqlalchemy as sa
from alembic import op

revision = '5d1f0a83c2b6'
down_revision = '3c0b6f7d5a21'
branch_labels = None
depends_on = None

big = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    # No batch: copying the table would lose the indexes on lower(username) and lower(email).
    op.add_column('users', sa.Column('email_verified', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('users', sa.Column('credentials_version', big, server_default='0', nullable=False))
    op.add_column('users', sa.Column('disabled_at', moment))
    with op.batch_alter_table('tokens', table_kwargs={'sqlite_autoincrement': True}) as tokens:
        tokens.alter_column('seed', existing_type=sa.LargeBinary(16), nullable=True)
        tokens.add_column(sa.Column('name', sa.String(64)))
        tokens.add_column(sa.Column('scopes', sa.String(255)))
        tokens.add_column(sa.Column('used_scopes', sa.String(255), server_default='', nullable=False))
        tokens.add_column(sa.Column('last_used_at', moment))
    op.create_table(
        'outbox',
        sa.Column('id', big, nullable=False),
        sa.Column('topic', sa.String(32), nullable=False),
        sa.Column('user_id', big),
        sa.Column('recipient', sa.String(120)),
        sa.Column('created_at', moment, nullable=False),
        sa.Column('due_at', moment),
        sa.Column('attempts', big, server_default='0', nullable=False),
        sa.Column('error', sa.String(255)),
        sa.PrimaryKeyConstraint('id', name='pk_outbox'),
        sa.ForeignKeyConstraint(['user_id'], ['users.id'], 'fk_outbox_user_id_users', ondelete='CASCADE'),
        sqlite_autoincrement=True,
    )
    op.create_index('ix_outbox_user_id', 'outbox', ['user_id'])
    op.create_index('ix_outbox_due_at', 'outbox', ['due_at'])


def downgrade() -> None:
    op.drop_table('outbox')
    op.execute('DELETE FROM tokens WHERE seed IS NULL')
    with op.batch_alter_table('tokens', table_kwargs={'sqlite_autoincrement': True}) as tokens:
        for column in ('last_used_at', 'used_scopes', 'scopes', 'name'):
            tokens.drop_column(column)
        tokens.alter_column('seed', existing_type=sa.LargeBinary(16), nullable=False)
    for column in ('disabled_at', 'credentials_version', 'email_verified'):
        op.drop_column('users', column)
