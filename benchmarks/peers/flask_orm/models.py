"""The ORM models. Counts are computed by queries."""

from datetime import UTC, datetime
from typing import Any

from flask import url_for
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, Dialect, ForeignKey, func, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    column_property,
    mapped_column,
    query_expression,
    registry,
    relationship,
)
from sqlalchemy.types import TypeDecorator

from benchmarks.peers.avatars import avatar


class UTCDateTime(TypeDecorator[datetime]):
    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=None) if value and dialect.name == 'sqlite' else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    registry = registry(type_annotation_map={datetime: UTCDateTime})


db = SQLAlchemy(model_class=Base)


class Follow(db.Model):
    __tablename__ = 'follows'

    id: Mapped[int] = mapped_column(primary_key=True)
    follower_id: Mapped[int] = mapped_column(ForeignKey('users.id'))
    followed_id: Mapped[int] = mapped_column(ForeignKey('users.id'))

    follower: Mapped['User'] = relationship(foreign_keys=follower_id)


class Like(db.Model):
    __tablename__ = 'likes'

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey('users.id'))
    post_id: Mapped[int] = mapped_column(ForeignKey('posts.id'))


class User(db.Model):
    __tablename__ = 'users'

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]
    email: Mapped[str]
    about_me: Mapped[str | None]
    disabled_at: Mapped[datetime | None]
    last_seen: Mapped[datetime | None]

    @property
    def links(self) -> dict[str, str]:
        return {
            'self': url_for('api.user', id=self.id),
            'followers': url_for('api.followers', id=self.id),
            'following': url_for('api.following', id=self.id),
            'posts': url_for('api.user_posts', id=self.id),
            'avatar': avatar(self.email),
        }

    @property
    def author_links(self) -> dict[str, str]:
        return {'self': url_for('api.user', id=self.id), 'avatar': avatar(self.email)}


class Post(db.Model):
    __tablename__ = 'posts'

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey('users.id'))
    reply_to_id: Mapped[int | None] = mapped_column(ForeignKey('posts.id'))
    text: Mapped[str]
    created_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]
    liked: Mapped[bool] = query_expression()

    author: Mapped[User] = relationship()

    @property
    def links(self) -> dict[str, str | None]:
        return {
            'self': url_for('api.post', id=self.id),
            'author': url_for('api.user', id=self.author_id),
            'replies': url_for('api.replies', id=self.id),
            'likes': url_for('api.likes', id=self.id),
            'in_reply_to': self.reply_to_id and url_for('api.post', id=self.reply_to_id),
        }


class Token(db.Model):
    __tablename__ = 'tokens'

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey('users.id'))
    digest: Mapped[bytes]
    expires_at: Mapped[datetime]

    user: Mapped[User] = relationship()


def counted(column: Any, owner: Any, entity: Any) -> Any:
    """Return a count of the rows that reference this row; deferred, because those of the caller are not shown."""
    query = select(func.count(entity.id)).where(column == owner.id).correlate_except(entity)
    return column_property(query.scalar_subquery(), deferred=True, group='counts')


reply = Post.__table__.alias('reply')
replies = select(func.count(reply.c.id)).where(reply.c.reply_to_id == Post.id).correlate_except(reply)

User.post_count = counted(Post.author_id, User, Post)
User.follower_count = counted(Follow.followed_id, User, Follow)
User.following_count = counted(Follow.follower_id, User, Follow)
Post.like_count = column_property(
    select(func.count(Like.id)).where(Like.post_id == Post.id).correlate_except(Like).scalar_subquery()
)
Post.reply_count = column_property(replies.scalar_subquery())
