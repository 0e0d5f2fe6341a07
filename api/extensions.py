"""What the application is made of, not yet bound to one."""

from typing import Any

from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy import Connection, Engine

from api.database import Base, current_reads, snapshot_of
from api.keys import Keyring
from api.mailer import Mailer
from api.passwords import Passwords


class SnapshotSession(Session):
    """A session that is told by `snapshot` that a write is to fail if it would overwrite what others wrote since the
    transaction began."""

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine:
        engine = self._db.engine
        return snapshot_of(engine) if self.info.get('snapshot') else engine


db = SQLAlchemy(model_class=Base, session_options={'class_': SnapshotSession})
keyring = Keyring()
passwords = Passwords()
mailer = Mailer()


def current_connection() -> Connection:
    """That of the transaction, or where there is none, the one for statements outside of any."""
    reads = current_reads.get()
    return reads.connection if reads else db.session.connection()
