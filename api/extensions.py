"""What the application is made of, not yet bound to one."""

from typing import Any

from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy import Engine

from api.database import Base, reader_of, snapshot_of
from api.keys import Keyring
from api.mailer import Mailer
from api.passwords import Passwords


class RoutingSession(Session):
    """A session that is told what it is for: `read_only` where nothing will be written, `snapshot` where a write is to
    fail if it would overwrite what others wrote since the transaction began."""

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine:
        engine = self._db.engine
        if self.info.get('read_only'):
            return reader_of(engine)
        return snapshot_of(engine) if self.info.get('snapshot') else engine


db = SQLAlchemy(model_class=Base, session_options={'class_': RoutingSession})
keyring = Keyring()
passwords = Passwords()
mailer = Mailer()
