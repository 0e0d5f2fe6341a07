"""Fixtures for the HTTP tests."""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from api.clock import utcnow
from api.security.keyring import keyring
from config import Settings
from tests.support.client import Client
from tests.support.rows import log_in

CHANGES = {'PUT': 'application/json', 'PATCH': 'application/merge-patch+json'}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = utcnow()

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the clock of every module that imports `utcnow`."""
    clock = Clock()
    for name, module in list(sys.modules.items()):
        if name.startswith('api.') and getattr(module, 'utcnow', None) is utcnow:
            monkeypatch.setattr(module, 'utcnow', clock)
    return clock


@pytest.fixture
def quick_login(app: Flask) -> Callable[[str], Client]:
    """Return a function like `login`, without the time that hashing a password takes."""
    return lambda username: log_in(app, username)


@pytest.fixture
def load_keys(settings: Settings) -> Iterator[Callable[..., None]]:
    """Return a function that replaces the server's secret keys during the test: `load_keys(key, fallbacks)`."""
    yield keyring.load
    keyring.load(settings.secret_key, settings.secret_key_fallbacks)


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest) -> Callable[..., TestResponse]:
    """Return a function that updates the client's own account by PUT or PATCH: `change(client, body)`.

    `id` addresses another account.
    """

    def send(client: Client, body: Any, id: int | None = None) -> TestResponse:
        url = f'/api/users/{client.id if id is None else id}'
        return client.open(url, method=request.param, data=json.dumps(body), content_type=CHANGES[request.param])

    return send
