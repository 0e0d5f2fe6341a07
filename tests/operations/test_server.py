"""Health checks, logs, headers, hosts and proxies, and responses while the database is down."""

import io
import json
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, StatementError

from api.app import create_app
from api.db.engine import COMMAND_CACHE_KIB, TimeoutConnection, disable_timeouts
from api.db.session import db
from api.http import concurrency_limiter
from api.http.logs import configure_logging
from api.security.passwords import passwords
from api.server.web import granian_command
from config import Settings
from support import process_groups
from support.process_groups import WAIT_TIMEOUT, children_of, wait_until
from support.servers import ROOT, Server, free_port, start_server, wait_until_ready
from tests.support.client import PASSWORD, Client, basic

SECURITY = {
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
}


@contextmanager
def another_app(settings: Settings) -> Iterator[FlaskClient]:
    """Yield a client of a second application with other settings."""
    app = create_app(settings)
    yield app.test_client()
    with app.app_context():
        db.engine.dispose()


def variant(settings: Settings, **others: Any) -> Settings:
    return Settings(**({**settings.__dict__, **others}))


@pytest.fixture
def log_lines() -> Iterator[Callable[[], list[str]]]:
    """Yield a function that returns the log as a list of JSON lines."""
    configure_logging('INFO', 'json')
    handler = logging.getLogger('api').handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    handler.setStream(stream)
    yield lambda: stream.getvalue().splitlines()
    configure_logging('ERROR', 'text')


@pytest.mark.parametrize('path', ['/livez', '/readyz'])
def test_health_needs_no_credentials(anonymous: Client, path: str) -> None:
    response = anonymous.get(path)
    assert (response.status_code, response.json) == (200, {'status': 'ok'})


def test_without_database_live_but_not_ready(settings: Settings) -> None:
    unreachable = 'sqlite:////nowhere/at/all.sqlite'
    if settings.database_url.startswith('postgresql'):
        unreachable = 'postgresql+psycopg://postgres@127.0.0.1:1/away'
    with another_app(variant(settings, database_url=unreachable, log_level='ERROR')) as client:
        logging.getLogger('api').setLevel('CRITICAL')
        assert client.get('/livez').status_code == 200
        responses = [
            client.get('/readyz'),
            client.get('/api/users', headers={'Authorization': 'Bearer ' + '0' * 32}),
            client.post('/api/tokens', headers=basic('ana', PASSWORD)),
            client.post('/api/users', json={'username': 'ana', 'email': 'ana@example.com', 'password': PASSWORD}),
        ]
    logging.getLogger('api').setLevel('ERROR')
    for response in responses:
        assert response.status_code == 503
        assert response.json == {'error': 'Service Unavailable'}
        assert int(response.headers['Retry-After']) > 0


def test_exhausted_pool_returns_503_in_time(settings: Settings, app: Flask) -> None:
    with app.app_context():
        engine = db.engine
        held = [engine.connect() for _ in range(engine.pool.size() - engine.pool.checkedout())]
    logging.getLogger('api').setLevel('CRITICAL')
    try:
        assert app.test_client().get('/readyz').status_code == 503
    finally:
        logging.getLogger('api').setLevel('ERROR')
        for connection in held:
            connection.close()
    assert app.test_client().get('/readyz').status_code == 200


def test_silent_database_times_out(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        if connection.dialect.name == 'sqlite':
            pytest.skip('SQLite is not a server')
        driver = connection.connection.dbapi_connection
        assert isinstance(driver, TimeoutConnection)
        driver.timeout = 0.2
        connection.execute(text('SET statement_timeout = 100'))
        with pytest.raises(OperationalError, match='statement timeout'):  # the connection stays usable
            connection.execute(text('SELECT pg_sleep(9)'))
        connection.rollback()
        with pytest.raises(OperationalError, match='timeout expired') as error:
            connection.execute(text('SELECT pg_sleep(9)'))
        assert error.value.connection_invalidated
        assert driver.closed


def test_commands_have_no_timeout(app: Flask) -> None:
    with app.app_context():
        with db.engine.connect() as connection:
            driver: Any = connection.connection.dbapi_connection
            disable_timeouts(connection)
            if connection.dialect.name == 'sqlite':
                assert connection.scalar(text('PRAGMA cache_size')) == -COMMAND_CACHE_KIB
            else:
                assert connection.scalar(text('SHOW statement_timeout')) == '0'
                assert driver.timeout is None
        with db.engine.connect() as connection:
            assert connection.connection.dbapi_connection is not driver


def test_over_the_limit_returns_503_but_live(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency_limiter, 'ACQUIRE_TIMEOUT', 0.1)
    with another_app(variant(settings, web_threads=1)) as client:
        assert cast(concurrency_limiter.ConcurrencyLimiter, client.application.wsgi_app).acquire()
        refused, alive = client.get('/readyz'), client.get('/livez')
        cast(concurrency_limiter.ConcurrencyLimiter, client.application.wsgi_app).release()
        admitted = client.get('/readyz')
    assert (refused.status_code, refused.json) == (503, {'error': 'Service Unavailable'})
    assert int(refused.headers['Retry-After']) > 0
    assert (alive.status_code, admitted.status_code) == (200, 200)


def test_slow_bodies_do_not_block_others(server: Server, login: Callable[[str], Client]) -> None:
    ana = login('ana')
    head = f'POST /api/posts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ana.token}\r\n'
    head += 'Content-Type: application/json\r\nContent-Length: 16\r\n\r\n'
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(('127.0.0.1', server.port))) for _ in range(20)]
        for connection in slow:
            connection.sendall(head.encode() + b'{"text":')
        assert server.ask('GET', '/api/me', Authorization=f'Bearer {ana.token}').json['post_count'] == 0
        for connection in slow:
            connection.sendall(b'"hello"}')
        assert [connection.recv(12) for connection in slow] == [b'HTTP/1.1 201'] * len(slow)


@pytest.mark.process
def test_sigterm_during_start_ends_the_process(settings: Settings, tmp_path: Path) -> None:
    # While the test waits, this application does not finish starting, and granian does not kill its process.
    (tmp_path / 'main.py').write_text("import time; open('started', 'w').close(); time.sleep(3600)")
    words = [*granian_command(variant(settings, port=free_port())), '--workers-kill-timeout', '1800']
    process = process_groups.start(words, cwd=tmp_path, env=os.environ | {'PYTHONPATH': str(ROOT)})
    try:
        wait_until(lambda: (tmp_path / 'started').exists())
        process.terminate()
        assert process.wait(WAIT_TIMEOUT) == 0
    finally:
        process_groups.kill(process)


@pytest.mark.process
def test_web_processes_end_after_their_parent_is_killed(settings: Settings) -> None:
    with start_server(settings.database_url, stdout=subprocess.PIPE, WEB_WORKERS='2') as server:
        killed, _ = children_of(server.process)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: len(children := children_of(server.process)) == 2 and killed not in children)
        wait_until_ready(server)
        server.process.kill()
        # Each process holds an end of this pipe, so reading ends when all have ended.
        server.process.communicate(timeout=WAIT_TIMEOUT)
        with pytest.raises(ConnectionRefusedError):
            server.ask('GET', '/livez')


def test_truncated_body_is_rejected(app: Flask) -> None:
    response = app.test_client().post(
        '/api/users', data='{"username":', content_type='application/json', environ_overrides={'CONTENT_LENGTH': '99'}
    )
    assert (response.status_code, response.json) == (400, {'error': 'Bad Request'})


def test_every_response_has_security_headers(anonymous: Client, login: Callable[[str], Client]) -> None:
    ana = login('ana')
    responses = [
        ana.get('/api/users'),
        ana.get('/api/users/0'),
        anonymous.get('/api/users'),
        anonymous.get('/nothing', headers={'Accept': 'text/html'}),
        anonymous.delete('/api/users'),
        anonymous.options('/api/users'),
        anonymous.get('/apispec.json'),
        ana.delete('/api/tokens'),
    ]
    for response in responses:
        assert SECURITY.items() <= dict(response.headers).items()
        assert response.headers['X-Request-ID']


def test_caches_store_nothing_private(anonymous: Client, login: Callable[[str], Client]) -> None:
    ana = login('ana')
    kept = {
        'private, no-cache': [ana.get('/api/users'), ana.get(f'/api/users/{ana.id}')],
        'no-store': [
            ana.ask_for_token('ana'),
            anonymous.get('/api/users'),
            ana.get('/api/users/0'),
            ana.put(f'/api/me/following/{ana.id}'),
            anonymous.get('/docs'),
            ana.delete('/api/tokens'),
        ],
    }
    for expected, responses in kept.items():
        assert [response.headers['Cache-Control'] for response in responses] == [expected] * len(responses)


def test_empty_response_has_no_content_type(login: Callable[[str], Client]) -> None:
    response = login('ana').delete('/api/tokens')
    assert (response.status_code, response.data) == (204, b'')
    assert 'Content-Type' not in response.headers


def test_request_is_logged_with_its_id(anonymous: Client, log_lines: Callable[[], list[str]]) -> None:
    response = anonymous.get('/api/users?page=2')
    (line,) = [json.loads(line) for line in log_lines()]
    assert line['request_id'] == response.headers['X-Request-ID']
    assert (line['method'], line['path'], line['status'], line['level']) == ('GET', '/api/users', 401, 'INFO')
    assert line['ms'] >= 0


@pytest.mark.parametrize(('sent', 'kept'), [('from-proxy.1_2', True), ('x' * 65, False), ('a b', False), ('', False)])
def test_valid_request_id_is_kept(anonymous: Client, sent: str, kept: bool) -> None:
    response = anonymous.get('/livez', headers={'X-Request-ID': sent})
    assert (response.headers['X-Request-ID'] == sent) is kept


def test_no_secret_is_logged(
    anonymous: Client, make_user: Any, log_lines: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = 'unlikely7secret'
    make_user('ana', password=secret)
    token = anonymous.ask_for_token('ana', secret).json['token']
    bearer = {'Authorization': f'Bearer {token}'}
    anonymous.ask_for_token('ana', f'{secret}-wrong')
    anonymous.get(f'/api/users?after={secret}', headers=bearer)
    anonymous.put('/api/users/1', json={'password': secret}, headers=bearer)
    anonymous.post('/api/users', json={'password': secret})
    monkeypatch.setattr('api.routes.users.register_user', None)  # a bug, so that a traceback is logged
    assert make_user_fails(anonymous, secret) == 500
    logged = '\n'.join(log_lines())
    assert 'Traceback' in logged
    assert secret not in logged
    assert token not in logged


def test_database_errors_hide_parameters(app: Flask) -> None:
    with app.app_context(), pytest.raises(StatementError) as error:
        db.session.execute(text('SELECT :secret FROM nowhere'), {'secret': 'unlikely7secret'})
    assert 'unlikely7secret' not in str(error.value)


def make_user_fails(anonymous: Client, password: str) -> int:
    registration = {'username': 'ben', 'email': 'ben@example.com', 'password': password}
    return anonymous.post('/api/users', json=registration).status_code


def test_only_trusted_hosts_are_served(settings: Settings) -> None:
    with another_app(variant(settings, trusted_hosts=('api.example.com',))) as client:
        assert client.get('/livez', headers={'Host': 'api.example.com'}).status_code == 200
        refused = client.get('/livez', headers={'Host': 'evil.example.net'})
    assert refused.status_code == 400
    assert refused.json['error'] == 'Bad Request'


def test_only_trusted_proxies_are_believed(settings: Settings) -> None:
    forwarded = {'X-Forwarded-Proto': 'https'}
    for hops, secure in ((0, False), (1, True)):
        with another_app(variant(settings, trusted_proxies=hops)) as client:
            response = client.get('/livez', headers=forwarded)
        assert ('Strict-Transport-Security' in response.headers) is secure


def test_oversized_body_is_rejected(settings: Settings) -> None:
    with another_app(variant(settings, max_body_bytes=2000)) as client:
        fits, exceeds = (
            client.post('/api/users', data=b' ' * size, content_type='application/json') for size in (2000, 2001)
        )
    assert fits.status_code == 400
    assert (exceeds.status_code, exceeds.json) == (413, {'error': 'Request Entity Too Large'})


def test_unread_body_is_drained_or_closed(anonymous: Client) -> None:
    for megabytes, cut_off in ((1, False), (3, True)):
        response = anonymous.put('/api/users/1', data=b' ' * megabytes * 1024 * 1024, content_type='application/json')
        assert response.status_code == 401
        assert (response.headers.get('Connection') == 'close') is cut_off


def test_docs_page_has_its_own_csp(anonymous: Client) -> None:
    page = anonymous.get('/', follow_redirects=True)
    asset = anonymous.get('/docs/assets/swagger-ui.css')
    assert (page.request.path, page.status_code, asset.status_code) == ('/docs', 200, 200)
    for response in (page, asset):
        assert "script-src 'self'; style-src 'self';" in response.headers['Content-Security-Policy']
    assert 'max-age=86400' in asset.headers['Cache-Control']
    asset.close()


def test_minimum_password_length_is_a_setting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, 'min_length', passwords.min_length)  # restores the value afterwards
    registration = {'username': 'ana', 'email': 'ana@example.com', 'password': 'eleven char'}
    with another_app(variant(settings, password_min_length=12)) as client:
        response = client.post('/api/users', json=registration)
        document = client.get('/apispec.json').json
    assert response.json['errors'] == {'password': ['Shorter than minimum length 12.']}
    assert document['components']['schemas']['UserCreate']['properties']['password']['minLength'] == 12


def test_debug_mode_raises_exceptions(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with another_app(variant(settings, debug=True)) as client:
        monkeypatch.setattr('api.routes.health.ping', None)
        with pytest.raises(TypeError):
            client.get('/readyz')
