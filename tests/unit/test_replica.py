"""Log records of replica failures."""

import pytest
from sqlalchemy import create_engine

from api.db import replica
from api.db.replica import Replica


def test_replica_failure_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = create_engine('postgresql+psycopg://postgres@127.0.0.1:1/nowhere')
    logged: list[str] = []
    monkeypatch.setattr(replica.log, 'error', lambda text, error: logged.append(text % error))
    failing = Replica(nowhere, nowhere)
    for _ in range(2):
        failing.mark_down(OSError('gone'))
    assert logged == ['replica unavailable, reading from the primary: gone']
