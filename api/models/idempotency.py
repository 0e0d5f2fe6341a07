"""The table of idempotency records."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from api.db.base import Base


class IdempotencyRecord(Base):
    """The response to a request with an `Idempotency-Key`, to be replayed if the request is sent again.

    digest: SHA-256 of the caller, the operation and the key. fingerprint: HMAC of the request under a server key.
    encrypted_response: the response; decryption needs the client's key and a server key.
    """

    __tablename__ = 'idempotency_records'

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey('users.id', ondelete='CASCADE'), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32))
    encrypted_response: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(index=True)

    __table_args__ = {'sqlite_autoincrement': True}
