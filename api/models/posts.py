from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from api.database import Base


class Post(Base):
    """What a user wrote. The newest has the highest id."""

    __tablename__ = 'posts'

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey('users.id', ondelete='CASCADE'))
    text: Mapped[str] = mapped_column(String(280))
    created_at: Mapped[datetime]

    __table_args__ = (Index(None, 'author_id', 'id'), {'sqlite_autoincrement': True})
