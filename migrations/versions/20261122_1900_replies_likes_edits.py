"""Add replies, likes and post versions."""

import sqlalchemy as sa
from alembic import op

revision = '3c0b6f7d5a21'
down_revision = '9d1255e1e21c'
branch_labels = None
depends_on = None

big = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    with op.batch_alter_table('posts', table_kwargs={'sqlite_autoincrement': True}) as posts:
        posts.add_column(sa.Column('reply_to_id', big))
        posts.add_column(sa.Column('edited_at', moment))
        posts.add_column(sa.Column('like_count', big, server_default='0', nullable=False))
        posts.add_column(sa.Column('reply_count', big, server_default='0', nullable=False))
        posts.create_check_constraint(op.f('ck_posts_like_count'), 'like_count >= 0')
        posts.create_check_constraint(op.f('ck_posts_reply_count'), 'reply_count >= 0')
        posts.create_foreign_key('fk_posts_reply_to_id_posts', 'posts', ['reply_to_id'], ['id'], ondelete='SET NULL')
        posts.create_index('ix_posts_reply_to_id_id', ['reply_to_id', 'id'])
    op.create_table(
        'post_versions',
        sa.Column('id', big, nullable=False),
        sa.Column('post_id', big, nullable=False),
        sa.Column('text', sa.String(280), nullable=False),
        sa.Column('written_at', moment, nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_post_versions'),
        sa.ForeignKeyConstraint(['post_id'], ['posts.id'], 'fk_post_versions_post_id_posts', ondelete='CASCADE'),
        sqlite_autoincrement=True,
    )
    op.create_index('ix_post_versions_post_id_id', 'post_versions', ['post_id', 'id'])
    op.create_table(
        'likes',
        sa.Column('id', big, nullable=False),
        sa.Column('user_id', big, nullable=False),
        sa.Column('post_id', big, nullable=False),
        sa.Column('created_at', moment, nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_likes'),
        sa.UniqueConstraint('user_id', 'post_id', name='uq_likes_user_id_post_id'),
        sa.ForeignKeyConstraint(['user_id'], ['users.id'], 'fk_likes_user_id_users', ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['post_id'], ['posts.id'], 'fk_likes_post_id_posts', ondelete='CASCADE'),
        sqlite_autoincrement=True,
    )
    op.create_index('ix_likes_user_id_id', 'likes', ['user_id', 'id'])
    op.create_index('ix_likes_post_id_id', 'likes', ['post_id', 'id'])


def downgrade() -> None:
    op.drop_table('likes')
    op.drop_table('post_versions')
    with op.batch_alter_table('posts', table_kwargs={'sqlite_autoincrement': True}) as posts:
        posts.drop_index('ix_posts_reply_to_id_id')
        posts.drop_constraint('fk_posts_reply_to_id_posts', type_='foreignkey')
        posts.drop_constraint(op.f('ck_posts_like_count'), type_='check')
        posts.drop_constraint(op.f('ck_posts_reply_count'), type_='check')
        for column in ('reply_count', 'like_count', 'edited_at', 'reply_to_id'):
            posts.drop_column(column)
