from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from api.db.base import Base


class IdempotencyRecord(Base):
    """What a request with an `Idempotency-Key` was answered, for whoever sends it again.

    digest: of the caller, the operation and the key. fingerprint: of the request, by a key of the server's. sealed: the
    answer, which only the client's key and the server's open.
    """

    __tablename__ = 'idempotency_records'

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey('users.id', ondelete='CASCADE'), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32))
    encrypted_response: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(index=True)

    __table_args__ = {'sqlite_autoincrement': True}
