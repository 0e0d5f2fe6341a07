from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from api.database import Base


class Token(Base):
    """What recognises an access token, and with the server's key makes it again; not the token itself."""

    __tablename__ = 'tokens'

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey('users.id', ondelete='CASCADE'), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    seed: Mapped[bytes] = mapped_column(LargeBinary(16))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    __table_args__ = {'sqlite_autoincrement': True}
