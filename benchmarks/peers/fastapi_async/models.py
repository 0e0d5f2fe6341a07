"""The ORM models, with counter columns."""

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, query_expression, relationship
from sqlalchemy.types import TypeDecorator


class UTCDateTime(TypeDecorator[datetime]):
    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=None) if value and dialect.name == 'sqlite' else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    type_annotation_map = {datetime: UTCDateTime}


class User(Base):
    __tablename__ = 'users'

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]
    email: Mapped[str]
    about_me: Mapped[str | None]
    disabled_at: Mapped[datetime | None]
    last_seen: Mapped[datetime | None]
    post_count: Mapped[int]
    follower_count: Mapped[int]
    following_count: Mapped[int]


class Follow(Base):
    __tablename__ = 'follows'

    id: Mapped[int] = mapped_column(primary_key=True)
    follower_id: Mapped[int] = mapped_column(ForeignKey('users.id'))
    followed_id: Mapped[int] = mapped_column(ForeignKey('users.id'))


class Like(Base):
    __tablename__ = 'likes'

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey('users.id'))
    post_id: Mapped[int] = mapped_column(ForeignKey('posts.id'))


class Post(Base):
    __tablename__ = 'posts'

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey('users.id'))
    reply_to_id: Mapped[int | None] = mapped_column(ForeignKey('posts.id'))
    text: Mapped[str]
    created_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]
    like_count: Mapped[int] = mapped_column(default=0)
    reply_count: Mapped[int] = mapped_column(default=0)
    liked: Mapped[bool] = query_expression()

    author: Mapped[User] = relationship(lazy='raise')


class Token(Base):
    __tablename__ = 'tokens'

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey('users.id'))
    digest: Mapped[bytes]
    expires_at: Mapped[datetime]


class Total(Base):
    __tablename__ = 'table_counts'

    table_name: Mapped[str] = mapped_column(primary_key=True)
    row_count: Mapped[int]
