"""Conditional requests are retried after serialization failures."""

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from api.http.conditional import MAX_ATTEMPTS, SERIALIZATION_FAILURE, conditional


class DriverError(Exception):
    def __init__(self, sqlstate: str):
        self.sqlstate = sqlstate


@pytest.mark.parametrize(('sqlstate', 'attempts'), [(SERIALIZATION_FAILURE, MAX_ATTEMPTS), ('57P01', 1)])
def test_only_serialization_failures_are_retried(
    app: Any, monkeypatch: pytest.MonkeyPatch, sqlstate: str, attempts: int
) -> None:
    tried = []

    @conditional
    def view() -> None:
        tried.append(1)
        raise OperationalError('UPDATE', {}, DriverError(sqlstate))

    monkeypatch.setattr('api.http.conditional.check_precondition', lambda: None)
    with app.test_request_context(headers={'If-Match': '"any"'}), pytest.raises(OperationalError):
        view()
    assert len(tried) == attempts


def test_second_attempt_may_succeed(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [OperationalError('UPDATE', {}, DriverError(SERIALIZATION_FAILURE)), None]

    @conditional
    def view() -> str:
        if error := outcomes.pop(0):
            raise error
        return 'done'

    monkeypatch.setattr('api.http.conditional.check_precondition', lambda: None)
    with app.test_request_context(headers={'If-Match': '"any"'}):
        assert view() == 'done'
