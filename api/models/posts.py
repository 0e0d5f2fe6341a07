"""The tables of posts and their versions."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from api.db.base import Base


class Post(Base):
    """A post. The newest has the highest id, because ids are assigned in commit order."""

    __tablename__ = 'posts'

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey('users.id', ondelete='CASCADE'))
    reply_to_id: Mapped[int | None] = mapped_column(ForeignKey('posts.id', ondelete='SET NULL'))
    text: Mapped[str] = mapped_column(String(280))
    created_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]
    like_count: Mapped[int] = mapped_column(server_default='0')
    reply_count: Mapped[int] = mapped_column(server_default='0')

    __table_args__ = (
        Index(None, 'author_id', 'id'),
        Index(None, 'reply_to_id', 'id'),
        CheckConstraint('like_count >= 0', name='like_count'),
        CheckConstraint('reply_count >= 0', name='reply_count'),
        {'sqlite_autoincrement': True},
    )


class PostVersion(Base):
    """A previous text of an edited post."""

    __tablename__ = 'post_versions'

    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey('posts.id', ondelete='CASCADE'))
    text: Mapped[str] = mapped_column(String(280))
    written_at: Mapped[datetime]

    __table_args__ = (Index(None, 'post_id', 'id'), {'sqlite_autoincrement': True})
