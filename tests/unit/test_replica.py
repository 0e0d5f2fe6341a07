import pytest
from sqlalchemy import create_engine

from api import replica
from api.replica import Replica


def test_that_it_is_left_alone_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = create_engine('postgresql+psycopg://postgres@127.0.0.1:1/nowhere')
    said: list[str] = []
    monkeypatch.setattr(replica.log, 'error', lambda text, error: said.append(text % error))
    left = Replica(nowhere, nowhere)
    for _ in range(2):
        left.leave(OSError('gone'))
    assert said == ['the replica is left alone: gone']
