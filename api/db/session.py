"""The Flask-SQLAlchemy session."""

from typing import Any

from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy import Connection, Engine

from api.db.base import Base
from api.db.engine import snapshot_engine
from api.db.read_connection import current_read_connection


class SnapshotSession(Session):
    """A session that reads a snapshot if `info['snapshot']` is set.

    A write then fails if it would overwrite a change committed since the transaction began.
    """

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine:
        engine = self._db.engine
        return snapshot_engine(engine) if self.info.get('snapshot') else engine


db = SQLAlchemy(model_class=Base, session_options={'class_': SnapshotSession})


def current_connection() -> Connection:
    """Return the current read connection if there is one, otherwise the connection of the session's transaction."""
    read_connection = current_read_connection.get()
    return read_connection.connection if read_connection else db.session.connection()
