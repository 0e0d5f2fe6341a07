"""Create the first tables: users, follows, posts, tokens and totals."""

import sqlalchemy as sa
from alembic import op

revision = '9d1255e1e21c'
down_revision = None
branch_labels = None
depends_on = None

big = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    totals = op.create_table(
        'totals',
        sa.Column('name', sa.String(32), nullable=False),
        sa.Column('value', big, server_default='0', nullable=False),
        sa.PrimaryKeyConstraint('name', name='pk_totals'),
        sa.CheckConstraint('value >= 0', name=op.f('ck_totals_value')),
    )
    op.bulk_insert(totals, [{'name': 'users', 'value': 0}])
    op.create_table(
        'users',
        sa.Column('id', big, nullable=False),
        sa.Column('username', sa.String(64), nullable=False),
        sa.Column('email', sa.String(120), nullable=False),
        sa.Column('password_hash', sa.String(255), nullable=False),
        sa.Column('about_me', sa.String(140)),
        sa.Column('created_at', moment, nullable=False),
        sa.Column('last_seen', moment),
        sa.Column('post_count', big, server_default='0', nullable=False),
        sa.Column('follower_count', big, server_default='0', nullable=False),
        sa.Column('following_count', big, server_default='0', nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_users'),
        sa.CheckConstraint('post_count >= 0', name=op.f('ck_users_post_count')),
        sa.CheckConstraint('follower_count >= 0', name=op.f('ck_users_follower_count')),
        sa.CheckConstraint('following_count >= 0', name=op.f('ck_users_following_count')),
        sqlite_autoincrement=True,
    )
    op.create_index('uq_users_username', 'users', [sa.text('lower(username)')], unique=True)
    op.create_index('uq_users_email', 'users', [sa.text('lower(email)')], unique=True)
    op.create_table(
        'follows',
        sa.Column('id', big, nullable=False),
        sa.Column('follower_id', big, nullable=False),
        sa.Column('followed_id', big, nullable=False),
        sa.Column('created_at', moment, nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_follows'),
        sa.UniqueConstraint('follower_id', 'followed_id', name='uq_follows_follower_id_followed_id'),
        sa.ForeignKeyConstraint(['follower_id'], ['users.id'], 'fk_follows_follower_id_users', ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['followed_id'], ['users.id'], 'fk_follows_followed_id_users', ondelete='CASCADE'),
        sa.CheckConstraint('follower_id <> followed_id', name=op.f('ck_follows_not_oneself')),
        sqlite_autoincrement=True,
    )
    op.create_index('ix_follows_follower_id_id', 'follows', ['follower_id', 'id'])
    op.create_index('ix_follows_followed_id_id', 'follows', ['followed_id', 'id'])
    op.create_table(
        'posts',
        sa.Column('id', big, nullable=False),
        sa.Column('author_id', big, nullable=False),
        sa.Column('text', sa.String(280), nullable=False),
        sa.Column('created_at', moment, nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_posts'),
        sa.ForeignKeyConstraint(['author_id'], ['users.id'], 'fk_posts_author_id_users', ondelete='CASCADE'),
        sqlite_autoincrement=True,
    )
    op.create_index('ix_posts_author_id_id', 'posts', ['author_id', 'id'])
    op.create_table(
        'tokens',
        sa.Column('id', big, nullable=False),
        sa.Column('user_id', big, nullable=False),
        sa.Column('digest', sa.LargeBinary(32), nullable=False),
        sa.Column('seed', sa.LargeBinary(16), nullable=False),
        sa.Column('created_at', moment, nullable=False),
        sa.Column('expires_at', moment, nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_tokens'),
        sa.UniqueConstraint('digest', name='uq_tokens_digest'),
        sa.ForeignKeyConstraint(['user_id'], ['users.id'], 'fk_tokens_user_id_users', ondelete='CASCADE'),
        sqlite_autoincrement=True,
    )
    op.create_index('ix_tokens_user_id', 'tokens', ['user_id'])


def downgrade() -> None:
    for table in ('tokens', 'posts', 'follows', 'users', 'totals'):
        op.drop_table(table)
