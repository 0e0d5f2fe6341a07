"""Concurrent writes with one ETag, and retries while server processes are killed, over real connections."""

import os
import secrets
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from api.db.session import db
from api.models import IdempotencyRecord, Post
from config import Settings
from support.process_groups import WAIT_TIMEOUT, children_of
from support.servers import Server, ServerResponse, start_server
from tests.concurrency.test_concurrency import at_once

ROUNDS = 80
KEYS = 80
SENT_AT_ONCE = 3


@pytest.fixture(scope='module')
def running_servers(starts_processes: None, migrated_app: Flask, settings: Settings) -> Iterator[Server]:
    with start_server(settings.database_url, WEB_WORKERS='2') as server:
        yield server


@pytest.fixture
def servers(app: Flask, running_servers: Server) -> Server:
    """Return a server of two processes, on the database of `app`."""
    return running_servers


@pytest.mark.parametrize('method', ['PUT', 'PATCH'])
def test_one_of_two_writers_with_the_same_etag_succeeds(servers: Server, login: Any, method: str) -> None:
    ana = login('ana')
    bearer = {'Authorization': f'Bearer {ana.token}'}
    url = f'/api/users/{ana.id}'
    media_type = {'PUT': 'application/json', 'PATCH': 'application/merge-patch+json'}[method]
    for round in range(ROUNDS // 2):
        tag = servers.ask('GET', url, **bearer).headers['etag']
        texts = [f'{round} {name}' for name in ('left', 'right')]
        write = {**bearer, 'If-Match': tag, 'Content-Type': media_type}
        responses = at_once(
            [lambda text=text, write=write: servers.ask(method, url, {'about_me': text}, **write) for text in texts]
        )
        assert sorted(response.status for response in responses) == [200, 412]
        (written,) = [text for text, response in zip(texts, responses, strict=True) if response.status == 200]
        assert servers.ask('GET', url, **bearer).json['about_me'] == written


def test_one_of_delete_and_update_with_same_etag_succeeds(servers: Server, login: Any) -> None:
    ana = login('ana')
    bearer = {'Authorization': f'Bearer {ana.token}'}
    for _ in range(20):
        url = f'/api/posts/{ana.post("/api/posts", json={"text": "hello"}).json["id"]}'
        write = {**bearer, 'If-Match': servers.ask('GET', url, **bearer).headers['etag']}
        deleted, changed = at_once(
            [
                lambda url=url, write=write: servers.ask('DELETE', url, **write),
                lambda url=url, write=write: servers.ask('PUT', url, {'text': 'changed'}, **write),
            ]
        )
        assert (deleted.status, changed.status) in [(204, 404), (204, 412), (412, 200)]


def persist(server: Server, token: str, key: str, text: str) -> ServerResponse:
    """Send the same request until it succeeds, and return the response."""
    headers = {'Authorization': f'Bearer {token}', 'Idempotency-Key': key}
    deadline = time.monotonic() + WAIT_TIMEOUT
    while time.monotonic() < deadline:
        try:
            response = server.ask('POST', '/api/posts', {'text': text}, **headers)
        except (OSError, HTTPException):
            time.sleep(0.05)
            continue
        if response.status == 201:
            return response
        assert response.status in (409, 503)
        time.sleep(0.05)
    raise AssertionError(f'no response for {key}')


def test_retried_posts_are_created_once(app: Flask, servers: Server, login: Any) -> None:
    ana = login('ana')
    keys = {secrets.token_hex(8): f'post {number}' for number in range(KEYS)}
    first, second = children_of(servers.process)
    to_kill = {KEYS: first, 2 * KEYS: second}  # after this many responses
    with ThreadPoolExecutor(12) as pool:
        sendings = [
            (key, pool.submit(persist, servers, ana.token, key, text))
            for key, text in keys.items()
            for _ in range(SENT_AT_ONCE)
        ]
        responses: dict[str, set[str]] = {key: set() for key in keys}
        for number, (key, sending) in enumerate(sendings):
            if number in to_kill:
                os.kill(to_kill[number], signal.SIGKILL)
            responses[key].add(str(sending.result().json))
    assert {first, second}.isdisjoint(children_of(servers.process))
    assert {len(given) for given in responses.values()} == {1}
    with app.app_context():
        assert sorted(db.session.scalars(select(Post.text))) == sorted(keys.values())
        assert db.session.scalar(select(func.count(IdempotencyRecord.id))) == KEYS
    assert ana.get('/api/me').json['post_count'] == KEYS
