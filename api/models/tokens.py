"""The table of access tokens."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from api.db.base import Base


class Token(Base):
    """The digest and properties of an access token, not the token itself.

    A session token, issued for a password, has all scopes. It is derived from its seed and the server's key. A personal
    access token has a name and scopes instead. Scopes are separated by spaces.
    """

    __tablename__ = 'tokens'

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey('users.id', ondelete='CASCADE'), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    seed: Mapped[bytes | None] = mapped_column(LargeBinary(16))
    name: Mapped[str | None] = mapped_column(String(64))
    scopes: Mapped[str | None] = mapped_column(String(255))
    used_scopes: Mapped[str] = mapped_column(String(255), server_default='')
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]

    __table_args__ = {'sqlite_autoincrement': True}
