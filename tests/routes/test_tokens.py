"""Tests of session tokens: issuing, lifetime, revocation and rejection."""

import base64
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import select

from api.db.session import db
from api.models import Token
from api.security.passwords import MEMORY_KIB, PASSES, passwords
from support.databases import dump_rows
from tests.conftest import hash_cheaply
from tests.support.client import PASSWORD, basic

UNAUTHORIZED = b'{"error":"Unauthorized"}'
BASIC = 'Basic realm="Authentication Required"'
BEARER = 'Bearer realm="Authentication Required"'
INVALID_TOKEN = f'{BEARER}, error="invalid_token"'
NEEDS_A_TOKEN = [
    ('GET', '/api/users'),
    ('HEAD', '/api/users'),
    ('GET', '/api/users/{id}'),
    ('PUT', '/api/users/{id}'),
    ('PATCH', '/api/users/{id}'),
    ('GET', '/api/users/{id}/followers'),
    ('GET', '/api/users/{id}/following'),
    ('DELETE', '/api/tokens'),
]


def encoded(credentials):
    """Return credentials, text or bytes, encoded for Basic authentication."""
    raw = credentials.encode() if isinstance(credentials, str) else credentials
    return base64.b64encode(raw).decode()


def bearer(token):
    return {'Authorization': f'Bearer {token}'}


def works(client, token):
    return client.get('/api/users', headers=bearer(token)).status_code == 200


def is_unauthorized(response, *challenges):
    """Return whether the response is the literal 401 with one of these challenges."""
    body = b'' if response.request.method == 'HEAD' else UNAUTHORIZED
    return (response.status_code, response.data) == (401, body) and response.headers['WWW-Authenticate'] in challenges


# Issuing


def test_token_is_32_hex_digits_for_3600_seconds(anonymous, make_user, clock):
    make_user('ana')
    response = anonymous.ask_for_token('ana')
    assert response.status_code == 200
    assert list(response.json) == ['token', 'expires_at']
    assert re.fullmatch('[0-9a-f]{32}', response.json['token'])
    assert response.json['expires_at'] == (clock.now + timedelta(seconds=3600)).isoformat()
    assert response.json['expires_at'].endswith('+00:00')


def test_token_works_for_3600_seconds(quick_login, clock):
    ana = quick_login('ana')
    clock.move(3599)
    assert ana.get('/api/users').status_code == 200
    clock.move(1)
    assert is_unauthorized(ana.get('/api/users'), BEARER, INVALID_TOKEN)


def test_same_token_while_over_60_seconds_are_left(anonymous, make_user, clock):
    make_user('ana')
    first = anonymous.ask_for_token('ana').json
    clock.move(3539)
    assert anonymous.ask_for_token('ana').json == first
    clock.move(1)
    second = anonymous.ask_for_token('ana').json
    assert second['token'] != first['token']
    assert second['expires_at'] == (clock.now + timedelta(seconds=3600)).isoformat()
    assert anonymous.ask_for_token('ana').json == second


def test_simultaneous_requests_get_the_same_token(app, make_user):
    make_user('ana')
    barrier = Barrier(4)

    def ask(number):
        client = app.test_client()
        barrier.wait(60)
        return client.ask_for_token('ana')

    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(ask, range(4)))
    assert [response.status_code for response in responses] == [200] * 4
    assert len({response.json['token'] for response in responses}) == 1


def test_older_token_works_until_it_expires(anonymous, make_user, clock):
    make_user('ana')
    older = anonymous.ask_for_token('ana').json['token']
    clock.move(3540)
    newer = anonymous.ask_for_token('ana').json['token']
    assert (works(anonymous, older), works(anonymous, newer)) == (True, True)
    clock.move(59)
    assert (works(anonymous, older), works(anonymous, newer)) == (True, True)
    clock.move(1)
    assert (works(anonymous, older), works(anonymous, newer)) == (False, True)
    assert anonymous.ask_for_token('ana').json['token'] == newer


def test_every_user_has_their_own_token(login, anonymous):
    ana, bea = login('ana'), login('bea')
    assert ana.token != bea.token
    assert ana.get(f'/api/users/{ana.id}').json['email'] == 'ana@example.com'
    assert bea.get(f'/api/users/{bea.id}').json['email'] == 'bea@example.com'
    assert 'email' not in ana.get(f'/api/users/{bea.id}').json
    assert anonymous.ask_for_token('ana').json['token'] == ana.token
    assert anonymous.ask_for_token('bea').json['token'] == bea.token


def test_tokens_are_never_cached(anonymous, make_user):
    make_user('ana')
    given = anonymous.ask_for_token('ana')
    rejected = anonymous.ask_for_token('ana', 'wrong')
    revoked = anonymous.delete('/api/tokens', headers=bearer(given.json['token']))
    again = anonymous.delete('/api/tokens', headers=bearer(given.json['token']))
    assert [response.status_code for response in (given, rejected, revoked, again)] == [200, 401, 204, 401]
    for response in (given, rejected, revoked, again):
        assert response.headers.getlist('Cache-Control') == ['no-store']


# Revocation


def test_revoked_token_ends_at_once(login, anonymous):
    ana = login('ana')
    response = ana.delete('/api/tokens')
    assert (response.status_code, response.data) == (204, b'')
    for method, url in NEEDS_A_TOKEN:
        assert is_unauthorized(ana.open(url.format(id=ana.id), method=method), BEARER, INVALID_TOKEN)
    again = anonymous.ask_for_token('ana').json['token']
    assert again != ana.token
    assert works(anonymous, again)


def test_only_the_sent_token_is_revoked(login, anonymous, clock):
    ana, bea = login('ana'), login('bea')
    clock.move(3550)
    newer = anonymous.ask_for_token('ana').json['token']
    assert anonymous.delete('/api/tokens', headers=bearer(newer)).status_code == 204
    assert (works(anonymous, newer), works(anonymous, ana.token), works(anonymous, bea.token)) == (False, True, True)


# Keys


def test_fallback_key_keeps_the_token(anonymous, make_user, load_keys):
    make_user('ana')
    before = anonymous.ask_for_token('ana').json
    load_keys('k' * 32, ('another-key', 'a-sample-key-for-development-only'))
    assert anonymous.ask_for_token('ana').json == before
    assert works(anonymous, before['token'])


def test_without_the_old_key_a_new_token_is_issued(anonymous, make_user, load_keys):
    make_user('ana')
    before = anonymous.ask_for_token('ana').json['token']
    load_keys('k' * 32)
    after = anonymous.ask_for_token('ana').json['token']
    assert after != before
    assert anonymous.ask_for_token('ana').json['token'] == after
    assert works(anonymous, after)


def test_stored_values_do_not_work_as_tokens(app, quick_login, anonymous):
    ana = quick_login('ana')
    assert ana.token not in dump_rows(app)
    with app.app_context():
        row = db.session.execute(select(Token.__table__)).one()
    values = [value.hex() if isinstance(value, bytes) else str(value) for value in row]
    assert [value for value in values if works(anonymous, value) or works(anonymous, value[:32])] == []


# Rejection


@pytest.mark.parametrize(('method', 'url'), NEEDS_A_TOKEN)
def test_missing_credentials_get_a_bearer_challenge(anonymous, quick_login, method, url):
    url = url.format(id=quick_login('ana').id)
    assert is_unauthorized(anonymous.open(url, method=method), BEARER)


@pytest.mark.parametrize(
    ('sent', 'challenges'),
    [
        ('', [BEARER]),
        (' ', [BEARER]),
        ('Bearer', [BEARER]),
        ('Bearer ', [BEARER]),
        ('Bearer  \t ', [BEARER]),
        ('{token}', [BEARER]),
        ('Bearer{token}', [BEARER]),
        ('Token {token}', [BEARER]),
        ('Basic {token}', [BEARER]),
        ('Digest username="ana"', [BEARER]),
        ('Basic {basic}', [BEARER]),
        ('Bearer {basic}', [BEARER, INVALID_TOKEN]),
        ('Bearer x', [BEARER, INVALID_TOKEN]),
        ('Bearer {token} {token}', [BEARER, INVALID_TOKEN]),
        ('Bearer {token},Bearer {token}', [BEARER, INVALID_TOKEN]),
        ('Bearer {token}0', [BEARER, INVALID_TOKEN]),
        ('Bearer {short}', [BEARER, INVALID_TOKEN]),
        ('Bearer "{token}"', [BEARER, INVALID_TOKEN]),
        ('Bearer token={token}', [BEARER, INVALID_TOKEN]),
        ('Bearer 00000000000000000000000000000000', [BEARER, INVALID_TOKEN]),
        ('Bearer \xff\xfe', [BEARER, INVALID_TOKEN]),
        ('Bearer None', [BEARER, INVALID_TOKEN]),
    ],
)
def test_invalid_tokens_get_the_same_401(quick_login, anonymous, sent, challenges):
    ana = quick_login('ana')
    header = sent.format(token=ana.token, short=ana.token[:-1], basic=encoded(f'ana:{PASSWORD}'))
    for method, url in NEEDS_A_TOKEN:
        response = anonymous.open(url.format(id=ana.id), method=method, headers={'Authorization': header})
        assert is_unauthorized(response, *challenges), (method, url)
    assert works(anonymous, ana.token)


def test_scheme_is_case_insensitive(login, anonymous):
    ana = login('ana')
    assert anonymous.get('/api/users', headers={'Authorization': f'bEARER {ana.token}'}).status_code == 200
    sent = {'Authorization': f'bASIC {encoded(f"ana:{PASSWORD}")}'}
    assert anonymous.post('/api/tokens', headers=sent).status_code == 200


@pytest.mark.parametrize(
    'sent',
    [
        '',
        ' ',
        'Basic',
        'Basic ',
        'Basic Og==',  # a colon alone
        'Basic YW5h',  # no colon
        'Basic *',
        'Basic YW5hO',  # not a multiple of four
        'Basic {ok}{ok}',
        'Basic !{ok}',
        'Basic {ok}!',
        'Basic {ok} {ok}',
        '{ok}',
        'Bearer {ok}',
        'Digest {ok}',
        'Foo {ok}',
        'Bearer {token}',
        'Basic {token}',
        'Digest username="ana", realm="Authentication Required"',
        '\xff\xfe',
        'Basic \xff\xfe',
    ],
)
def test_invalid_basic_credentials_get_the_same_401(quick_login, anonymous, sent):
    ana = quick_login('ana')
    header = sent.format(token=ana.token, ok=encoded(f'ana:{PASSWORD}'))
    assert is_unauthorized(anonymous.post('/api/tokens', headers={'Authorization': header}), BASIC)


def test_missing_credentials_get_a_basic_challenge(anonymous, make_user):
    make_user('ana')
    assert is_unauthorized(anonymous.post('/api/tokens'), BASIC)


@pytest.mark.parametrize(
    'credentials',
    [
        ':',
        'ana:',
        f':{PASSWORD}',
        'ana:wrong',
        f'ana:{PASSWORD} ',
        f'ana: {PASSWORD}',
        f'ana:{PASSWORD.upper()}',
        f'ana:{PASSWORD}\0',
        f'ana:{PASSWORD[:-1]}',
        f'ana :{PASSWORD}',
        f' ana:{PASSWORD}',
        f'ana\0:{PASSWORD}',
        f'\0:{PASSWORD}',
        f'%:{PASSWORD}',
        f'_na:{PASSWORD}',
        f'ana@example.com:{PASSWORD}',
        f'unknown:{PASSWORD}',
        f'bea:{PASSWORD}',
        'None:None',
        f'{"a" * 6000}:{PASSWORD}',
        f'ana:{"a" * 6000}',
        b'ana:\xff\xfe',
        b'\xff\xfe:' + PASSWORD.encode(),
    ],
)
def test_wrong_and_missing_credentials_have_one_body(anonymous, quick_login, make_user, credentials):
    quick_login('ana')
    make_user('bea', password='another fine password')
    response = anonymous.post('/api/tokens', headers={'Authorization': f'Basic {encoded(credentials)}'})
    assert is_unauthorized(response, BASIC)


def test_rejected_credentials_change_nothing(app, anonymous, make_user):
    make_user('ana')
    before = dump_rows(app)
    assert anonymous.ask_for_token('ana', 'wrong').status_code == 401
    assert anonymous.ask_for_token('unknown').status_code == 401
    assert anonymous.post('/api/tokens').status_code == 401
    assert dump_rows(app) == before


def test_credentials_in_the_body_do_not_log_in(anonymous, make_user):
    make_user('ana')
    assert is_unauthorized(anonymous.post('/api/tokens', json={'username': 'ana', 'password': PASSWORD}), BASIC)
    assert is_unauthorized(anonymous.post(f'/api/tokens?username=ana&password={PASSWORD}'), BASIC)


# Names and passwords


@pytest.mark.parametrize('username', ['susan', 'SUSAN', 'Susan', 'sUSan'])
def test_username_is_case_insensitive(anonymous, make_user, username):
    make_user('Susan')
    assert anonymous.ask_for_token(username).status_code == 200


@pytest.mark.parametrize(
    ('registered', 'sent'),
    [
        ('kim', '\N{KELVIN SIGN}im'),
        ('kim', '\N{FULLWIDTH LATIN SMALL LETTER K}im'),
        ('isa', '\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}sa'),
        ('susan', '\N{LATIN SMALL LETTER LONG S}usan'),
    ],
)
def test_unicode_lookalike_username_is_rejected(anonymous, make_user, registered, sent):
    make_user(registered)
    assert is_unauthorized(anonymous.ask_for_token(sent), BASIC)
    assert anonymous.ask_for_token(registered).status_code == 200


@pytest.mark.parametrize(
    'password',
    ['p\u00e4ssw\u00f6rt mit U', 'a:b::c:d:', ':starting', '\u5bc6\u7801\u5bc6\u7801\u5bc6\u7801\u5bc6\u7801'],
)
def test_unusual_passwords_log_in(anonymous, make_user, password):
    make_user('ana', password=password)
    assert anonymous.ask_for_token('ana', password).status_code == 200
    assert is_unauthorized(anonymous.ask_for_token('ana', password.replace(':', '')[:-1]), BASIC)


@pytest.fixture
def full_cost():
    """Hash passwords with the production parameters."""
    passwords.set_cost(passes=PASSES, memory_kib=MEMORY_KIB)
    yield
    hash_cheaply()


def test_passwords_are_hashed_as_owasp_recommends(app, full_cost, make_user):
    make_user('ana')
    assert '$argon2id$v=19$m=19456,t=2,p=1$' in dump_rows(app)


def test_wrong_password_and_unknown_user_take_equal_time(anonymous, full_cost, make_user):
    make_user('ana')
    anonymous.ask_for_token('ana', 'wrong')  # warm-up

    def shortest(username):
        times = []
        for _ in range(5):
            begin = time.process_time()
            assert anonymous.ask_for_token(username, 'wrong').status_code == 401
            times.append(time.process_time() - begin)
        return min(times)

    known = shortest('ana')
    for unknown in ('unknown', '\N{KELVIN SIGN}im', 'un\0known'):
        assert known / 2 < shortest(unknown) < known * 2


def test_login_updates_last_seen(login, anonymous, make_user, clock):
    url = make_user('bea')['_links']['self']
    ana = login('ana')
    assert ana.get(url).json['last_seen'] is None
    anonymous.ask_for_token('bea')
    assert ana.get(url).json['last_seen'] == clock.now.isoformat()


def test_basic_credentials_do_not_replace_a_token(anonymous, make_user):
    make_user('ana')
    assert is_unauthorized(anonymous.get('/api/users', headers=basic('ana', PASSWORD)), BEARER)
