"""What the application is made of, not yet bound to one."""

from typing import Any

from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy import Engine

from api.database import Base, reader_of
from api.keys import Keyring
from api.mailer import Mailer
from api.passwords import Passwords


class RoutingSession(Session):
    """A session that reads outside of transactions when it is told that nothing will be written."""

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine:
        engine = self._db.engine
        return reader_of(engine) if self.info.get('read_only') else engine


db = SQLAlchemy(model_class=Base, session_options={'class_': RoutingSession})
keyring = Keyring()
passwords = Passwords()
mailer = Mailer()
