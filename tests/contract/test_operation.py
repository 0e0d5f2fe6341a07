"""What operators rely on: health, logs, headers, hosts and proxies, and answers while the database is away."""

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
from api.database import KIBIBYTES_FOR_A_COMMAND, PatientConnection, take_time
from api.edge import turns
from api.edge.logs import configure_logs
from api.extensions import db, passwords
from api.server import command
from config import Settings
from tests import processes
from tests.conftest import PASSWORD, Client, basic
from tests.processes import WAIT_TIMEOUT, children_of, wait_until
from tests.servers import ROOT, Server, free_port, serving, wait_for

SECURITY = {
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
}


@contextmanager
def another_app(settings: Settings) -> Iterator[FlaskClient]:
    """An application with other settings beside that of the suite."""
    app = create_app(settings)
    yield app.test_client()
    with app.app_context():
        db.engine.dispose()


def variant(settings: Settings, **others: Any) -> Settings:
    return Settings(**({**settings.__dict__, **others}))


@pytest.fixture
def log_lines() -> Iterator[Callable[[], list[str]]]:
    """What is logged, as JSON, a line each."""
    configure_logs('INFO', 'json')
    handler = logging.getLogger('api').handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    handler.setStream(stream)
    yield lambda: stream.getvalue().splitlines()
    configure_logs('ERROR', 'text')


@pytest.mark.parametrize('path', ['/livez', '/readyz'])
def test_health_needs_no_credentials(anonymous: Client, path: str) -> None:
    answer = anonymous.get(path)
    assert (answer.status_code, answer.json) == (200, {'status': 'ok'})


def test_without_a_database_the_process_lives_but_is_not_ready(settings: Settings) -> None:
    away = 'sqlite:////nowhere/at/all.sqlite'
    if settings.database_url.startswith('postgresql'):
        away = 'postgresql+psycopg://postgres@127.0.0.1:1/away'
    with another_app(variant(settings, database_url=away, log_level='ERROR')) as client:
        logging.getLogger('api').setLevel('CRITICAL')
        assert client.get('/livez').status_code == 200
        answers = [
            client.get('/readyz'),
            client.get('/api/users', headers={'Authorization': 'Bearer ' + '0' * 32}),
            client.post('/api/tokens', headers=basic('ana', PASSWORD)),
            client.post('/api/users', json={'username': 'ana', 'email': 'ana@example.com', 'password': PASSWORD}),
        ]
    logging.getLogger('api').setLevel('ERROR')
    for answer in answers:
        assert answer.status_code == 503
        assert answer.json == {'error': 'Service Unavailable'}
        assert int(answer.headers['Retry-After']) > 0


def test_an_exhausted_pool_is_unavailable_for_a_bounded_time(settings: Settings, app: Flask) -> None:
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


def test_a_server_that_falls_silent_is_not_waited_for(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        if connection.dialect.name == 'sqlite':
            pytest.skip('which is no server')
        driver = connection.connection.dbapi_connection
        assert isinstance(driver, PatientConnection)
        driver.patience = 0.2
        connection.execute(text('SET statement_timeout = 100'))
        with pytest.raises(OperationalError, match='statement timeout'):  # an answer, after which others may follow
            connection.execute(text('SELECT pg_sleep(9)'))
        connection.rollback()
        with pytest.raises(OperationalError, match='timeout expired') as error:
            connection.execute(text('SELECT pg_sleep(9)'))
        assert error.value.connection_invalidated
        assert driver.closed


def test_commands_may_take_their_time(app: Flask) -> None:
    with app.app_context():
        with db.engine.connect() as connection:
            driver: Any = connection.connection.dbapi_connection
            take_time(connection)
            if connection.dialect.name == 'sqlite':
                assert connection.scalar(text('PRAGMA cache_size')) == -KIBIBYTES_FOR_A_COMMAND
            else:
                assert connection.scalar(text('SHOW statement_timeout')) == '0'
                assert driver.patience is None
        with db.engine.connect() as connection:
            assert connection.connection.dbapi_connection is not driver


def test_who_gets_no_turn_comes_again_and_the_process_lives(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, 'SECONDS_TO_WAIT_FOR_A_TURN', 0.1)
    with another_app(variant(settings, web_threads=1)) as client:
        assert cast(turns.Turns, client.application.wsgi_app).take()
        refused, alive = client.get('/readyz'), client.get('/livez')
        cast(turns.Turns, client.application.wsgi_app).give()
        admitted = client.get('/readyz')
    assert (refused.status_code, refused.json) == (503, {'error': 'Service Unavailable'})
    assert int(refused.headers['Retry-After']) > 0
    assert (alive.status_code, admitted.status_code) == (200, 200)


def test_bodies_that_come_slowly_keep_nobody_waiting(server: Server, login: Callable[[str], Client]) -> None:
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
def test_a_process_that_is_told_to_stop_while_it_starts_ends_at_once(settings: Settings, tmp_path: Path) -> None:
    # While the test waits, this application does not finish starting, and granian does not kill its process.
    (tmp_path / 'main.py').write_text("import time; open('started', 'w').close(); time.sleep(3600)")
    words = [*command(variant(settings, port=free_port())), '--workers-kill-timeout', '1800']
    process = processes.start(words, cwd=tmp_path, env=os.environ | {'PYTHONPATH': str(ROOT)})
    try:
        wait_until(lambda: (tmp_path / 'started').exists())
        process.terminate()
        assert process.wait(WAIT_TIMEOUT) == 0
    finally:
        processes.kill(process)


@pytest.mark.process
def test_web_processes_end_after_their_parent_is_killed(settings: Settings) -> None:
    with serving(settings.database_url, stdout=subprocess.PIPE, WEB_WORKERS='2') as server:
        killed, _ = children_of(server.process)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: len(children := children_of(server.process)) == 2 and killed not in children)
        wait_for(server)
        server.process.kill()
        # Each process has an end of this pipe: it is read until all have ended.
        server.process.communicate(timeout=WAIT_TIMEOUT)
        with pytest.raises(ConnectionRefusedError):
            server.ask('GET', '/livez')


def test_a_body_that_breaks_off_is_refused(app: Flask) -> None:
    answer = app.test_client().post(
        '/api/users', data='{"username":', content_type='application/json', environ_overrides={'CONTENT_LENGTH': '99'}
    )
    assert (answer.status_code, answer.json) == (400, {'error': 'Bad Request'})


def test_every_answer_has_security_headers(anonymous: Client, login: Callable[[str], Client]) -> None:
    ana = login('ana')
    answers = [
        ana.get('/api/users'),
        ana.get('/api/users/0'),
        anonymous.get('/api/users'),
        anonymous.get('/nothing', headers={'Accept': 'text/html'}),
        anonymous.delete('/api/users'),
        anonymous.options('/api/users'),
        anonymous.get('/apispec.json'),
        ana.delete('/api/tokens'),
    ]
    for answer in answers:
        assert SECURITY.items() <= dict(answer.headers).items()
        assert answer.headers['X-Request-ID']


def test_caches_keep_nothing_that_they_should_not(anonymous: Client, login: Callable[[str], Client]) -> None:
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
    for expected, answers in kept.items():
        assert [answer.headers['Cache-Control'] for answer in answers] == [expected] * len(answers)


def test_an_answer_without_a_body_has_no_type(login: Callable[[str], Client]) -> None:
    answer = login('ana').delete('/api/tokens')
    assert (answer.status_code, answer.data) == (204, b'')
    assert 'Content-Type' not in answer.headers


def test_a_request_is_a_line_with_its_id(anonymous: Client, log_lines: Callable[[], list[str]]) -> None:
    answer = anonymous.get('/api/users?page=2')
    (line,) = [json.loads(line) for line in log_lines()]
    assert line['request_id'] == answer.headers['X-Request-ID']
    assert (line['method'], line['path'], line['status'], line['level']) == ('GET', '/api/users', 401, 'INFO')
    assert line['ms'] >= 0


@pytest.mark.parametrize(('given', 'taken'), [('from-proxy.1_2', True), ('x' * 65, False), ('a b', False), ('', False)])
def test_a_given_request_id_is_kept_if_it_is_plain(anonymous: Client, given: str, taken: bool) -> None:
    answer = anonymous.get('/livez', headers={'X-Request-ID': given})
    assert (answer.headers['X-Request-ID'] == given) is taken


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


def test_errors_of_the_database_do_not_tell_its_parameters(app: Flask) -> None:
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


def test_proxies_are_believed_only_where_they_are_trusted(settings: Settings) -> None:
    forwarded = {'X-Forwarded-Proto': 'https'}
    for hops, secure in ((0, False), (1, True)):
        with another_app(variant(settings, trusted_proxies=hops)) as client:
            answer = client.get('/livez', headers=forwarded)
        assert ('Strict-Transport-Security' in answer.headers) is secure


def test_a_body_over_the_limit_is_refused(settings: Settings) -> None:
    with another_app(variant(settings, max_body_bytes=2000)) as client:
        fits, exceeds = (
            client.post('/api/users', data=b' ' * size, content_type='application/json') for size in (2000, 2001)
        )
    assert fits.status_code == 400
    assert (exceeds.status_code, exceeds.json) == (413, {'error': 'Request Entity Too Large'})


def test_a_body_that_nobody_read_is_read_to_its_end_or_cut_off(anonymous: Client) -> None:
    for megabytes, cut_off in ((1, False), (3, True)):
        answer = anonymous.put('/api/users/1', data=b' ' * megabytes * 1024 * 1024, content_type='application/json')
        assert answer.status_code == 401
        assert (answer.headers.get('Connection') == 'close') is cut_off


def test_the_documentation_page_has_a_policy_of_its_own(anonymous: Client) -> None:
    page = anonymous.get('/', follow_redirects=True)
    asset = anonymous.get('/docs/assets/swagger-ui.css')
    assert (page.request.path, page.status_code, asset.status_code) == ('/docs', 200, 200)
    for answer in (page, asset):
        assert "script-src 'self'; style-src 'self';" in answer.headers['Content-Security-Policy']
    assert 'max-age=86400' in asset.headers['Cache-Control']
    asset.close()


def test_a_password_may_have_to_be_longer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, 'min_length', passwords.min_length)  # to be what it was afterwards
    registration = {'username': 'ana', 'email': 'ana@example.com', 'password': 'eleven char'}
    with another_app(variant(settings, password_min_length=12)) as client:
        answer = client.post('/api/users', json=registration)
        document = client.get('/apispec.json').json
    assert answer.json['errors'] == {'password': ['Shorter than minimum length 12.']}
    assert document['components']['schemas']['NewUser']['properties']['password']['minLength'] == 12


def test_debugging_shows_what_was_raised(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with another_app(variant(settings, debug=True)) as client:
        monkeypatch.setattr('api.routes.health.database_answer', None)
        with pytest.raises(TypeError):
            client.get('/readyz')
