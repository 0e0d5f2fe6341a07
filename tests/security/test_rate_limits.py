"""Requests over a limit return 429 in every process, whatever address they claim to come from, and never a 5xx."""

import itertools
import logging
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import Any, NamedTuple

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from api.app import create_app
from api.db.session import db
from api.models import User
from api.security.passwords import passwords
from config import Settings
from support.redis_server import RedisServer, redis_server, wait_until
from support.servers import Server, ServerResponse, start_server
from tests.concurrency.test_storm import Kept
from tests.operations.test_server import variant
from tests.support.client import PASSWORD, Client, basic
from tests.support.sockets import Trace, Tracer
from tests.unit.test_rate_limit_store import LONGEST_WAIT, OUTAGES, MemoryClock

pytestmark = pytest.mark.parametrize('database_url', ['sqlite'], indirect=True, scope='session')

FIELDS = {'RateLimit-Policy', 'RateLimit'}
ITEM = re.compile(r'"([ !#-\[\]-~]*)"((?:; *[a-z*][a-z0-9_.*-]*=-?\d{1,15})*)')
KEY_IN_REDIS = re.compile(r'[A-Z]*:?microblog/[a-z-]+/[0-9a-f]{64}')
FORGED = 50

numbers = itertools.count()


def items_of(field: str) -> dict[str, dict[str, int]]:
    """Return the items of a structured field (RFC 9651) that is a list of strings with integer parameters."""
    items = {}
    for member in re.split(r'[ \t]*,[ \t]*', field):
        item = ITEM.fullmatch(member)
        assert item, f'{member} is not a string with parameters'
        parameters = [parameter.strip().split('=') for parameter in item[2].split(';')[1:]]
        items[item[1]] = {name: int(value) for name, value in parameters}
    return items


def remaining(response: Any, limit: str) -> int:
    (state,) = (value for name, value in response.headers.items() if name.lower() == 'ratelimit')
    return items_of(state)[limit]['r']


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MemoryClock:
    """Return the clock of a store in memory."""
    return MemoryClock(monkeypatch)


@contextmanager
def limiting(settings: Settings, **others: Any) -> Iterator[Client]:
    """Yield a client of a second application, with rate limits, on the database of the suite."""
    app = create_app(variant(settings, ratelimit_enabled=True, **others))
    app.test_client_class = Client
    client = app.test_client()
    assert isinstance(client, Client)
    yield client
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def client(app: Flask, settings: Settings) -> Iterator[Client]:
    """Yield a client without credentials of an application with rate limits."""
    with limiting(settings) as client:
        yield client


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that collects the passwords that are checked; none is hashed."""
    seen: list[str] = []

    def verify(password_hash: str | None, password: str) -> bool:
        seen.append(password)
        return password_hash is not None and password == PASSWORD

    monkeypatch.setattr(passwords, 'verify', verify)
    return seen


def bearer(user: Client) -> dict[str, str]:
    return {'Authorization': f'Bearer {user.token}'}


def log_in(client: Client, user: Client) -> TestResponse:
    return client.ask_for_token('ana', 'wrong')


def change_password(client: Client, user: Client) -> TestResponse:
    change = {'old_password': 'wrong', 'new_password': 'another horse'}
    return client.put('/api/me/password', json=change, headers=bearer(user))


def delete_account(client: Client, user: Client) -> TestResponse:
    return client.delete(f'/api/users/{user.id}', json={'password': 'wrong'}, headers=bearer(user))


def register(client: Client, user: Client | None = None, **options: Any) -> TestResponse:
    return client.post('/api/users', json={}, **options)


def change_address(client: Client, user: Client) -> TestResponse:
    change = {'email': f'new{next(numbers)}@example.com'}
    return client.put(f'/api/users/{user.id}', json=change, headers=bearer(user))


def export(client: Client, user: Client) -> TestResponse:
    return client.get('/api/me/export', headers=bearer(user), buffered=True)


def reset(client: Client, email: str) -> TestResponse:
    return client.post('/api/password-resets', json={'email': email})


class Case(NamedTuple):
    """A rate limit, and a request that it counts."""

    limit: str
    times: int
    minutes: int
    ask: Callable[[Client, Client], TestResponse]


CASES = {
    'log-ins of an account': Case('password', 10, 5, log_in),
    'changes of a password': Case('password', 10, 5, change_password),
    'account deletions': Case('password', 10, 5, delete_account),
    'log-ins from an address': Case(
        'log-in', 25, 5, lambda client, user: client.ask_for_token(f'guest{next(numbers)}', 'wrong')
    ),
    'registrations': Case('registration', 5, 30, register),
    'resets of an account': Case('reset', 5, 30, lambda client, user: reset(client, 'ana@example.com')),
    'resets from an address': Case(
        'resets', 100, 30, lambda client, user: reset(client, f'guest{next(numbers)}@example.com')
    ),
    'verifications': Case(
        'verification', 5, 30, lambda client, user: client.post('/api/email-verifications', headers=bearer(user))
    ),
    'new addresses': Case('new-address', 5, 30, change_address),
    'exports': Case('export', 10, 60, export),
    'requests with a token': Case(
        'token', 300, 5, lambda client, user: client.get(f'/api/users/{user.id}', headers=bearer(user))
    ),
}


@pytest.mark.parametrize('case', CASES.values(), ids=CASES)
def test_limit_resets_after_its_window(
    client: Client, login: Any, clock: MemoryClock, checked: list[str], case: Case
) -> None:
    ana, seconds = login('ana'), case.minutes * 60
    for left in reversed(range(case.times)):
        response = case.ask(client, ana)
        assert response.status_code != 429
        state = items_of(response.headers['RateLimit'])[case.limit]
        assert state == {'r': left, 't': seconds}
        policy = items_of(response.headers['RateLimit-Policy'])
        assert policy[case.limit] == {'q': case.times, 'w': seconds}
    looked_at = len(checked)
    for _ in range(2):
        refused = case.ask(client, ana)
        assert (refused.status_code, remaining(refused, case.limit)) == (429, 0)
        assert refused.headers['Retry-After'] == str(items_of(refused.headers['RateLimit'])[case.limit]['t'])
    clock.move(seconds - 60)
    still_refused = case.ask(client, ana)
    assert still_refused.status_code == 429
    assert still_refused.headers['Retry-After'] == '60'
    assert len(checked) == looked_at
    clock.move(60)
    response = case.ask(client, ana)
    assert response.status_code != 429
    assert remaining(response, case.limit) == case.times - 1


def test_right_password_over_the_limit_is_not_checked(client: Client, login: Any, checked: list[str]) -> None:
    login('ana')
    assert client.ask_for_token('ana').status_code == 200
    assert {client.ask_for_token('ana', 'wrong').status_code for _ in range(9)} == {401}
    assert client.ask_for_token('ana').status_code == 429
    assert len(checked) == 10


@pytest.mark.usefixtures('checked')
def test_username_case_does_not_evade_the_limit(client: Client, login: Any) -> None:
    login('ana')
    names = ['ana', 'ANA', 'Ana', 'aNa', 'anA'] * 2
    assert {client.ask_for_token(name, 'wrong').status_code for name in names} == {401}
    assert {client.ask_for_token(name).status_code for name in names} == {429}


@pytest.mark.usefixtures('checked')
def test_password_limit_counts_every_place(client: Client, login: Any) -> None:
    ana, ben = login('ana'), login('ben')
    tries = [log_in, change_password, delete_account]
    responses = [attempt(client, ana) for attempt in (*tries, *tries, *tries, log_in)]
    assert [remaining(response, 'password') for response in responses] == list(reversed(range(10)))
    assert {response.status_code for response in responses} == {400, 401}
    assert [attempt(client, ana).status_code for attempt in tries] == [429] * 3
    assert [attempt(client, ben).status_code for attempt in tries[1:]] == [400] * 2
    assert client.ask_for_token('ben').status_code == 200


@pytest.mark.usefixtures('checked')
def test_account_limit_counts_all_addresses(client: Client, login: Any) -> None:
    login('ana')
    statuses = [
        client.post(
            '/api/tokens',
            headers=basic('ana', 'wrong'),
            environ_overrides={'REMOTE_ADDR': f'192.0.2.{number}'},
        ).status_code
        for number in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2


@pytest.mark.usefixtures('checked')
def test_empty_usernames_do_not_share_a_limit(client: Client) -> None:
    """They do not try the password of any account."""
    statuses = [
        client.post('/api/tokens', environ_overrides={'REMOTE_ADDR': f'192.0.2.{number}'}, headers=headers).status_code
        for number in range(8)
        for headers in ({}, basic('', 'wrong'), basic('änä', 'wrong'))
    ]
    assert statuses == [401] * 24


def test_email_case_does_not_evade_the_limit(client: Client) -> None:
    statuses = [reset(client, email).status_code for email in ['ana@example.com', 'ANA@EXAMPLE.COM'] * 3]
    assert statuses == [202] * 5 + [429]
    assert reset(client, 'ben@example.com').status_code == 202


def test_unchanged_email_is_not_counted(client: Client, login: Any) -> None:
    ana = login('ana')
    own, kind = f'/api/users/{ana.id}', {'Content-Type': 'application/merge-patch+json'}
    for changes, status in (({'email': 'ANA@example.com'}, 200), ({'about_me': 'hi'}, 200), ({'email': None}, 400)):
        response = client.patch(own, json=changes, headers=bearer(ana) | kind)
        assert response.status_code == status
        assert 'new-address' not in response.headers['RateLimit']
    for left in (4, 3):
        response = client.patch(own, json={'email': f'ana{left}@example.com'}, headers=bearer(ana) | kind)
        assert remaining(response, 'new-address') == left
    assert remaining(change_address(client, ana), 'new-address') == 2


def test_every_token_has_its_own_limit(client: Client, login: Any, app: Flask) -> None:
    ana, other = login('ana'), login('ben')
    wanted = {'name': 'mine', 'scopes': ['users:read'], 'expires_in_days': 7}
    made = ana.post('/api/me/tokens', json=wanted)
    personal = {'Authorization': f'Bearer {made.json["token"]}'}
    for _ in range(300):
        assert client.get('/api/users/0', headers=bearer(ana)).status_code == 404
    assert client.get('/api/users/0', headers=bearer(ana)).status_code == 429
    for headers in (personal, bearer(other)):
        response = client.get('/api/users/0', headers=headers)
        assert (response.status_code, remaining(response, 'token')) == (404, 299)


def test_untrusted_forwarded_address_is_ignored(client: Client) -> None:
    forged = [
        {name: f'203.0.113.{number}'}
        for number in range(FORGED)
        for name in ('X-Forwarded-For', 'Forwarded', 'X-Real-IP')
    ]
    statuses = [register(client, headers=headers).status_code for headers in forged]
    assert statuses == [400] * 5 + [429] * (len(forged) - 5)


def test_last_address_of_a_trusted_proxy_counts(app: Flask, settings: Settings) -> None:
    with limiting(settings, trusted_proxies=1) as client:
        forged = [f'198.51.100.{number}, 203.0.113.7' for number in range(FORGED)]
        statuses = [register(client, headers={'X-Forwarded-For': value}).status_code for value in forged]
        others = [register(client, headers={'X-Forwarded-For': f'203.0.113.7, 203.0.113.{n}'}) for n in (8, 9)]
    assert statuses == [400] * 5 + [429] * (FORGED - 5)
    assert [response.status_code for response in others] == [400] * 2


@pytest.mark.parametrize(
    ('one', 'other', 'same'),
    [
        ('2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', True),
        ('2001:db8:1:2::1', '2001:DB8:0001:2:0::1', True),
        ('2001:db8:1:2::1', '2001:db8:1:3::1', False),
        ('::ffff:192.0.2.1', '192.0.2.1', True),
        ('::ffff:192.0.2.1', '::ffff:c000:0201', True),
        ('::ffff:192.0.2.1', '::ffff:192.0.2.2', False),
        ('192.0.2.1', '192.0.2.2', False),
        ('fe80::1%eth0', 'fe80::2%eth0', True),
    ],
)
def test_addresses_of_one_client_share_a_limit(client: Client, one: str, other: str, same: bool) -> None:
    for address, left in ((one, 4), (other, 3 if same else 4)):
        response = register(client, environ_overrides={'REMOTE_ADDR': address})
        assert (response.status_code, remaining(response, 'registration')) == (400, left)


@pytest.mark.parametrize('address', ['', 'unknown', '_hidden', '1.2.3.4:5', '[::1]:80', '1.2.3.4\x00', 'ä', '9' * 9000])
def test_invalid_address_is_limited(client: Client, address: str) -> None:
    response = register(client, environ_overrides={'REMOTE_ADDR': address})
    assert (response.status_code, remaining(response, 'registration')) == (400, 4)


@pytest.mark.parametrize(
    ('accept', 'media_type', 'body'),
    [
        ('application/json', 'application/json', {'error': 'Too Many Requests'}),
        (
            'application/problem+json',
            'application/problem+json',
            {
                'type': '/problems/too-many-requests',
                'title': 'Too Many Requests',
                'status': 429,
                'instance': '/api/users',
            },
        ),
        ('text/html', 'application/json', {'error': 'Too Many Requests'}),
    ],
)
def test_429_follows_accept(client: Client, accept: str, media_type: str, body: Any) -> None:
    for _ in range(6):
        response = register(client, headers={'Accept': accept})
    assert response.status_code == 429
    assert response.mimetype == media_type
    assert body.items() <= response.json.items()
    assert 1 <= int(response.headers['Retry-After']) <= 1800
    assert response.headers['Cache-Control'] == 'no-store'


def some_responses(client: Client, user: Client) -> dict[int, tuple[set[str], TestResponse]]:
    """Return responses by their status, each with the names of the limits that counted the request."""
    own = f'/api/users/{user.id}'
    json = {'json': {}, 'headers': bearer(user)}
    return {
        200: ({'token'}, client.get(own, headers=bearer(user))),
        201: ({'token'}, client.post('/api/posts', json={'text': 'hello'}, headers=bearer(user))),
        202: ({'token', 'verification'}, client.post('/api/email-verifications', headers=bearer(user))),
        400: ({'token', 'password'}, client.put('/api/me/password', **json)),
        401: ({'log-in', 'password'}, client.ask_for_token('ana', 'wrong')),
        403: ({'token'}, client.put('/api/users/9', **json)),
        404: ({'token'}, client.get('/api/users/0', headers=bearer(user))),
        413: ({'registration'}, client.post('/api/users', data=b' ' * 70_000, content_type='application/json')),
        415: ({'resets'}, client.post('/api/password-resets', data='', content_type='text/plain')),
        204: ({'token'}, client.delete('/api/tokens', headers=bearer(user))),
    }


@pytest.mark.usefixtures('checked')
def test_counted_responses_have_rate_limit_headers(client: Client, login: Any) -> None:
    for status, (limits, response) in some_responses(client, login('ana')).items():
        assert response.status_code == status
        for field in FIELDS:
            assert items_of(response.headers[field]).keys() == limits


def test_500_has_rate_limit_headers(client: Client, login: Any, monkeypatch: pytest.MonkeyPatch, silent: None) -> None:
    monkeypatch.setattr('api.routes.account.request_verification', None)
    response = client.post('/api/email-verifications', headers=bearer(login('ana')))
    assert response.status_code == 500
    assert items_of(response.headers['RateLimit']).keys() == {'token', 'verification'}


@pytest.mark.usefixtures('checked')
def test_disabled_limits_send_no_headers(anonymous: Client, login: Any) -> None:
    for _, response in some_responses(anonymous, login('ana')).values():
        assert not FIELDS & set(response.headers.keys())
    assert {register(anonymous).status_code for _ in range(30)} == {400}


@pytest.mark.usefixtures('checked')
def test_unlimited_operations_send_no_headers(client: Client) -> None:
    responses = [
        client.get('/livez'),
        client.get('/docs'),
        client.get('/nothing'),
        client.delete('/api/users'),
        client.get('/api/users'),
        client.get('/api/users', headers={'Authorization': f'Bearer {"0" * 32}'}),
        client.put('/api/email-verifications', json={}),
        client.put('/api/password-resets', json={}),
    ]
    assert [response.status_code for response in responses] == [200, 200, 404, 405, 401, 401, 400, 400]
    for response in responses:
        assert not FIELDS & set(response.headers.keys())


@pytest.mark.usefixtures('checked')
def test_legacy_headers_are_never_sent(client: Client, login: Any) -> None:
    responses = [response for _, response in some_responses(client, login('ana')).values()]
    responses += [register(client) for _ in range(6)]
    assert responses[-1].status_code == 429
    for response in responses:
        assert not [name for name, _ in response.headers if name.lower().startswith('x-ratelimit')]


@pytest.mark.usefixtures('checked')
def test_document_states_which_operations_are_limited(client: Client, login: Any) -> None:
    document = Client.document
    for number, (path, methods) in enumerate(document.document['paths'].items()):
        for method, operation in methods.items():
            user = login(f'user{number}{method}')
            headers = basic('ana', PASSWORD) if operation['operationId'] == 'createToken' else bearer(user)
            url = path.replace('{id}', str(user.id))
            response = client.open(url, method=method.upper(), headers=headers, json={}, buffered=True)
            responses = {status: document.resolve(declared) for status, declared in operation['responses'].items()}
            success = next(declared for status, declared in responses.items() if status < '300')
            limited = FIELDS.issubset(response.headers.keys())
            assert ('429' in responses) is limited, (method, path)
            assert bool(FIELDS & success.get('headers', {}).keys()) is limited, (method, path)
            if limited:
                assert FIELDS.issubset(success['headers'])
                headers = responses['429']['headers']
                required = {name for name, header in headers.items() if document.resolve(header)['required']}
                assert 'Retry-After' in required
                assert FIELDS.issubset(headers)


def test_document_header_examples_are_valid(client: Client) -> None:
    headers = Client.document.document['components']['headers']
    policy, left = (items_of(headers[name]['example']) for name in ('RateLimit-Policy', 'RateLimit'))
    assert policy == {'token': {'q': 300, 'w': 300}}
    assert left.keys() == policy.keys()


@pytest.fixture
def silent() -> Iterator[None]:
    logging.getLogger('api').setLevel('CRITICAL')
    yield
    logging.getLogger('api').setLevel('ERROR')


@pytest.fixture(scope='module')
def running_redis(starts_processes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp('redis')) as redis:
        yield redis


@pytest.fixture
def redis(running_redis: RedisServer) -> RedisServer:
    running_redis.client.flushall()
    return running_redis


@pytest.mark.usefixtures('checked')
def test_redis_keys_reveal_nothing(app: Flask, settings: Settings, redis: RedisServer, login: Any) -> None:
    ana = login('ana')
    names = ['ana', 'A' * 64 * 1024, 'a\x00na', 'änä', 'a\ud7ffb', ' ', 'a/b', "'; FLUSHALL", 'ana\r\nFLUSHALL\r\n']
    raw = ['Basic', 'Basic \xe4\xf6', 'Basic ' + '=' * 9, 'Basic YQ', 'Basic ' + '\xff' * 64 * 1024, 'Basic //8=', 'x']
    sent = [basic(name, 'wrong') for name in names] + [{'Authorization': value} for value in raw]
    with limiting(settings, ratelimit_storage_uri=redis.uri) as client:
        responses = [client.post('/api/tokens', headers=headers) for headers in sent]
        assert {response.status_code for response in responses} <= {401, 429}
        longest = f'{"a" * 60}@{"b" * 55}.de'
        assert [reset(client, email).status_code for email in ('ana@example.com', longest)] == [202] * 2
        for email in (f'{"a" * 64 * 900}@example.com', 'a\x00@example.com', 'ä@example.com', ''):
            assert reset(client, email).status_code == 400
        for address in ('203.0.113.77', '2001:db8:77::1'):
            assert register(client, environ_overrides={'REMOTE_ADDR': address}).status_code == 400
        assert export(client, ana).status_code == 200
        assert change_address(client, ana).status_code == 200
        assert client.post('/api/email-verifications', headers=bearer(ana)).status_code == 202
    keys = redis.all_keys()
    limits = {key.split('/')[1] for key in keys}
    assert limits == {case.limit for case in CASES.values()}
    for key in keys:
        assert KEY_IN_REDIS.fullmatch(key), key
        assert 0 < redis.client.ttl(key) <= 3600
        assert redis.client.get(key).isdigit()


@pytest.fixture(scope='module')
def running_servers(migrated_app: Flask, settings: Settings, running_redis: RedisServer) -> Iterator[list[Server]]:
    """Yield two servers with one database and one Redis, which trust one proxy."""
    limits = {'RATELIMIT_ENABLED': 'true', 'RATELIMIT_STORAGE_URI': running_redis.uri, 'TRUSTED_PROXIES': '1'}
    with ExitStack() as stack:
        yield [stack.enter_context(start_server(settings.database_url, **limits)) for _ in range(2)]


@pytest.fixture
def servers(app: Flask, running_servers: list[Server], redis: RedisServer) -> list[Server]:
    return running_servers


def try_password(server: Server, name: str, address: str = '') -> ServerResponse:
    """Send a log-in with a wrong password, from a new address if none is given."""
    number = next(numbers)
    address = address or f'10.{number >> 16}.{number >> 8 & 255}.{number & 255}'
    return server.ask('POST', '/api/tokens', **basic(name, 'wrong'), X_Forwarded_For=address)


def statuses_of(servers: list[Server], times: int, ask: Callable[[Server, int], ServerResponse]) -> list[int]:
    """Send concurrent requests to the servers in turn, and return the sorted statuses."""
    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(lambda number: ask(servers[number % len(servers)], number), range(times)))
    return sorted(response.status for response in responses)


def test_two_processes_share_a_limit(servers: list[Server]) -> None:
    of_an_account = statuses_of(servers, 24, lambda server, number: try_password(server, 'ana'))
    assert of_an_account == [401] * 10 + [429] * 14
    from_an_address = statuses_of(
        servers, 40, lambda server, number: try_password(server, f'guest{number}', f'192.0.2.{number}, 203.0.113.5')
    )
    assert from_an_address == [401] * 25 + [429] * 15


def test_two_processes_share_a_token_limit(servers: list[Server], login: Any) -> None:
    ana = login('ana')

    def ask_often(server: Server) -> list[int]:
        with closing(Kept(server, ana.token)) as kept:
            return [kept.ask('GET', f'/api/users/{ana.id}')[0] for _ in range(80)]

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(status for batch in pool.map(ask_often, servers * 2) for status in batch)
    assert statuses == [200] * 300 + [429] * 20


def count_together(servers: list[Server]) -> bool:
    """Return whether all servers count in Redis now."""
    name = f'probe{next(numbers)}'
    return [remaining(try_password(server, name), 'password') for server in servers * 2] == [9, 8, 7, 6]


@pytest.mark.parametrize('outage', OUTAGES)
def test_while_redis_is_away_each_process_is_stricter(servers: list[Server], redis: RedisServer, outage: str) -> None:
    assert wait_until(lambda: count_together(servers))
    goes_away, comes_back = OUTAGES[outage]
    name = outage.replace(' ', '')
    goes_away(redis)
    try:
        for server in servers:
            assert [try_password(server, name).status for _ in range(7)] == [401] * 5 + [429] * 2
    finally:
        comes_back(redis)
    assert wait_until(lambda: count_together(servers))
    statuses = [try_password(server, f'{name}2').status for server in servers * 6]
    assert statuses == [401] * 10 + [429] * 2


@pytest.mark.parametrize('outage', OUTAGES)
def test_while_redis_is_away_one_request_waits_for_it(
    app: Flask, settings: Settings, redis: RedisServer, outage: str, silent: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_away, comes_back = OUTAGES[outage]
    tracer = Tracer(monkeypatch)
    with limiting(settings, ratelimit_storage_uri=redis.uri) as client:

        def trace_request() -> Trace:
            address = f'2001:db8:0:{next(numbers):x}::1'
            with tracer.trace() as trace:
                assert register(client, environ_overrides={'REMOTE_ADDR': address}).status_code == 400
            return trace

        assert trace_request().waits == []
        goes_away(redis)
        try:
            first, *others = [trace_request() for _ in range(10)]
        finally:
            comes_back(redis)
        assert first.requests
        assert sum(first.waits) <= LONGEST_WAIT
        assert not any(trace.requests or trace.waits for trace in others)
        assert wait_until(lambda: trace_request().requests > 0)


def test_process_started_without_redis_recovers(
    app: Flask, settings: Settings, servers: list[Server], redis: RedisServer
) -> None:
    limits = {'RATELIMIT_ENABLED': 'true', 'RATELIMIT_STORAGE_URI': redis.uri, 'TRUSTED_PROXIES': '1'}
    redis.kill()
    try:
        with start_server(settings.database_url, **limits) as server:
            assert [try_password(server, 'late').status for _ in range(7)] == [401] * 5 + [429] * 2
            redis.start()
            assert wait_until(lambda: count_together([server, servers[0]]))
    finally:
        if redis.process.poll() is not None:
            redis.start()
    assert wait_until(lambda: count_together(servers))


def test_redis_with_another_password_is_not_a_500(
    app: Flask, settings: Settings, redis: RedisServer, silent: None, checked: list[str], login: Any
) -> None:
    ana = login('ana')
    redis.client.config_set('requirepass', 'another')
    try:
        with limiting(settings, ratelimit_storage_uri=redis.uri) as client:
            statuses = [client.ask_for_token('ana', 'wrong').status_code for _ in range(7)]
            seen = client.get('/api/users/0', headers=bearer(ana))
    finally:
        redis.client.config_set('requirepass', '')
    assert statuses == [401] * 5 + [429] * 2
    assert (seen.status_code, remaining(seen, 'token')) == (404, 298)


def test_rejected_request_changes_nothing(client: Client, login: Any, app: Flask) -> None:
    ana = login('ana')
    registration = {'username': 'ben', 'email': 'ben@example.com', 'password': PASSWORD}
    for _ in range(5):
        register(client)
    assert client.post('/api/users', json=registration).status_code == 429
    with app.app_context():
        assert db.session.scalars(select(User.id)).all() == [ana.id]
