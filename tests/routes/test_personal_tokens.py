"""Tests of personal access tokens: creation, use, update, revocation and limits."""

import json
import re
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from api.actions.account_deletion import disable_account, enable_account
from api.actions.passwords import change_password, invalidate_password, reset_password
from api.actions.tokens import (
    MAX_PERSONAL_TOKENS,
    create_personal_token,
    issue_token,
    revoke_personal_tokens,
    revoke_user_tokens,
)
from api.clock import utcnow
from api.db.session import db
from api.errors import UnauthorizedError
from api.models import Token, User
from api.queries.users import get_user
from api.security.scopes import SCOPES
from api.security.token_formats import BASE62_DIGITS, generate_personal_token, token_digest
from support.databases import dump_rows
from tests.concurrency.test_concurrency import at_once
from tests.support.client import PASSWORD, Client, issued_tokens

ALL = list(SCOPES)
DAY = 24 * 3600
MERGE_PATCH = 'application/merge-patch+json'
INVALID_TOKEN = 'Bearer realm="Authentication Required", error="invalid_token"'
FIELDS = ['id', 'name', 'scopes', 'used_scopes', 'created_at', 'last_used_at', 'expires_at', '_links']


def ask(client, **wanted):
    return client.post('/api/me/tokens', json={'name': 'a name', 'scopes': ['users:read']} | wanted)


def make(client, *scopes, **wanted):
    """Return the body of the response, with the secret."""
    response = ask(client, scopes=list(scopes or ALL), **wanted)
    assert response.status_code == 201, response.text
    return response.json


def caller(app, made):
    """Return a client with this token."""
    client = app.test_client()
    client.token = made['token']
    return client


def url(made):
    return f'/api/me/tokens/{made["id"]}'


def change(client, made, **changes):
    return client.patch(url(made), data=json.dumps(changes), content_type=MERGE_PATCH)


def works(app, made):
    response = caller(app, made).get('/api/tokens')
    assert response.status_code in (200, 401)
    return response.status_code == 200


def lacks(response, scopes):
    """Return whether the response is 403 for exactly these missing scopes."""
    challenge = f'Bearer error="insufficient_scope", scope="{scopes}"'
    return (response.status_code, response.headers.get('WWW-Authenticate')) == (403, challenge)


def number_of_tokens(app, user_id):
    with app.app_context():
        count = select(func.count()).where(Token.user_id == user_id, Token.seed.is_(None))
        return db.session.scalar(count)


def errors(response):
    """Return the fields that a 400 names."""
    assert response.status_code == 400, response.text
    return list(response.json['errors'])


# Creation


def test_secret_is_shown_once(app, ana):
    response = ask(ana, name='nightly backup', scopes=['posts:read', 'users:read'])
    made = response.json
    assert set(made) == {*FIELDS, 'token'}
    assert re.fullmatch('mb_[0-9A-Za-z]{49}', made['token'])
    assert response.headers['Location'] == made['_links']['self'] == url(made)
    assert response.headers['Cache-Control'] == 'no-store'
    shown = ana.get(url(made))
    assert shown.json == {field: value for field, value in made.items() if field != 'token'}
    assert ana.get('/api/me/tokens').json['items'] == [shown.json]
    for response in (shown, ana.get('/api/me/tokens'), change(ana, made, name='another'), ana.get('/api/me/export')):
        assert made['token'] not in response.text
        assert made['token'][3:46] not in response.text


def test_token_resource_has_its_fields(ana, clock):
    made = make(ana, 'posts:read', 'users:read', name='nightly backup')
    assert (made['name'], made['scopes']) == ('nightly backup', ['users:read', 'posts:read'])
    assert (made['used_scopes'], made['last_used_at']) == ([], None)
    assert made['created_at'] == clock.now.isoformat()


def test_secrets_are_unique(ana):
    secrets = {make(ana)['token'][3:-6] for _ in range(10)}
    assert len(secrets) == 10
    assert not [index for index in range(1, 43) if len({secret[index] for secret in secrets}) == 1]


def test_only_the_digest_is_stored(app, ana):
    made = make(ana)
    with app.app_context():
        row = db.session.execute(select(Token.digest, Token.seed).where(Token.id == made['id'])).one()
    assert tuple(row) == (token_digest(made['token']), None)
    assert made['token'][3:46] not in dump_rows(app)


def test_digest_does_not_work_as_a_token(app, ana):
    made = make(ana)
    digest = token_digest(made['token']).hex()
    for token in (digest, digest[:32], digest[32:]):
        assert ana.get('/api/tokens', headers={'Authorization': f'Bearer {token}'}).status_code == 401


def test_mistyped_token_takes_no_query(app, ana, count_queries):
    token = make(ana)['token']
    mistyped = [
        token[:index] + BASE62_DIGITS[(BASE62_DIGITS.index(token[index]) + 1) % 62] + token[index + 1 :]
        for index in range(3, len(token))
    ]
    swapped = [token[:n] + token[n + 1] + token[n] + token[n + 2 :] for n in range(3, 51) if token[n] != token[n + 1]]
    others = [token[:-1], token + '0', token[3:], f'MB_{token[3:]}', f'mb-{token[3:]}', token.swapcase(), 'mb_']
    assert len(mistyped) == 49
    with count_queries() as statements:
        for wrong in [*mistyped, *swapped, *others]:
            response = ana.get('/api/tokens', headers={'Authorization': f'Bearer {wrong}'})
            assert response.status_code == 401
            assert response.headers['WWW-Authenticate'] == INVALID_TOKEN
    assert statements == []
    assert caller(app, {'token': token}).get('/api/tokens').status_code == 200


def test_well_formed_unknown_token_is_rejected(ana):
    assert ana.get('/api/tokens', headers={'Authorization': f'Bearer {generate_personal_token()}'}).status_code == 401


def test_token_survives_key_rotation(app, ana, load_keys):
    made = make(ana)
    load_keys('k' * 32)
    assert works(app, made)


@pytest.mark.parametrize(
    ('sent', 'seconds'),
    [
        ({}, 30 * DAY),
        ({'expires_in': 60}, 60),
        ({'expires_in': 60.0}, 60),
        ({'expires_in': 90.5}, 90),
        ({'expires_in': 366 * DAY}, 366 * DAY),
    ],
)
def test_token_expires_as_requested(app, ana, clock, sent, seconds):
    made = make(ana, **sent)
    expires_at = datetime.fromisoformat(made['expires_at'])
    assert expires_at == clock.now + timedelta(seconds=seconds)
    clock.now = expires_at - timedelta(milliseconds=1)
    assert works(app, made)
    clock.now = expires_at
    assert not works(app, made)


@pytest.mark.parametrize(
    'expires_in',
    [
        0,
        -1,
        -(10**18),
        59,
        59.999,
        366 * DAY + 1,
        10**12,
        2**63,
        10**30,
        1e300,
        True,
        False,
        None,
        '',
        'a day',
        'NaN',
        'Infinity',
        '-inf',
        [],
        [60],
        {},
        {'seconds': 60},
    ],
)
def test_invalid_lifetime_is_rejected(app, ana, expires_in):
    assert errors(ask(ana, expires_in=expires_in)) == ['expires_in']
    assert number_of_tokens(app, ana.id) == 0


@pytest.mark.parametrize('name', ['x', 'x' * 64, '\N{GRINNING FACE}' * 64, "'; DROP TABLE tokens; --", '<b>', '\u202e'])
def test_name_is_kept(ana, name):
    made = make(ana, name=name)
    assert made['name'] == ana.get(url(made)).json['name'] == name
    assert change(ana, made, name=name[::-1]).json['name'] == name[::-1]


@pytest.mark.parametrize('name', ['', 'x' * 65, '\N{GRINNING FACE}' * 65, 'a\0b', None, 1, True, [], {}, ['a']])
def test_name_has_limits(app, ana, name):
    made = make(ana)
    before = dump_rows(app)
    assert errors(ask(ana, name=name)) == ['name']
    assert errors(change(ana, made, name=name)) == ['name']
    assert dump_rows(app) == before


@pytest.mark.parametrize(
    'scopes',
    [
        [],
        None,
        'users:read',
        'users:read posts:read',
        {'users:read': True},
        1,
        [None],
        [1],
        [[]],
        [{}],
        [['users:read']],
        [''],
        ['any'],
        ['*'],
        ['users'],
        ['users:'],
        ['users:*'],
        ['USERS:READ'],
        [' users:read'],
        ['users:read posts:read'],
        ['users:read', 'users:admin'],
        ['users:read\0'],
        ['users:read'] * 10,
        ['users:read'] * 2000,
    ],
)
def test_invalid_scopes_are_rejected(app, ana, scopes):
    made = make(ana)
    before = dump_rows(app)
    assert errors(ask(ana, scopes=scopes)) == ['scopes']
    assert errors(change(ana, made, scopes=scopes)) == ['scopes']
    assert dump_rows(app) == before


def test_repeated_scope_is_stored_once(app, ana):
    made = make(ana, 'posts:read', 'users:read', 'posts:read')
    assert made['scopes'] == ['users:read', 'posts:read']
    assert change(ana, made, scopes=['posts:read', 'posts:read']).json['scopes'] == ['posts:read']


@pytest.mark.parametrize('missing', ['name', 'scopes'])
def test_name_and_scopes_are_required(ana, missing):
    sent = {'name': 'a name', 'scopes': ['users:read']}
    del sent[missing]
    assert errors(ana.post('/api/me/tokens', json=sent)) == [missing]


def test_read_only_fields_are_ignored(app, ana, quick_login):
    ben = quick_login('ben')
    chosen = {'id': 12345, 'user_id': ben.id, 'token': 'mb_chosen', 'digest': '00', 'used_scopes': ['account:manage']}
    chosen |= {'actor': ben.id, 'allowed': ALL, 'maker': 1, 'seed': 'x', 'expires_at': '2999-01-01T00:00:00+00:00'}
    response = ask(ana, **chosen)
    assert response.status_code == 201
    assert (response.json['id'] == 12345, response.json['token'] == 'mb_chosen') == (False, False)
    assert response.json['used_scopes'] == []
    assert (number_of_tokens(app, ana.id), number_of_tokens(app, ben.id)) == (1, 0)
    before = number_of_tokens(app, ana.id), ana.get(url(response.json)).json
    assert change(ana, response.json, **chosen).status_code == 200
    assert (number_of_tokens(app, ana.id), ana.get(url(response.json)).json) == before


# Use


def test_token_is_limited_to_its_scopes(app, ana):
    backup = caller(app, make(ana, 'posts:read'))
    assert backup.get('/api/posts').status_code == 200
    assert lacks(backup.get('/api/users'), 'users:read')
    assert lacks(backup.post('/api/posts', json={'text': 'hello'}), 'posts:write')
    assert lacks(backup.post('/api/posts', data=b'nonsense'), 'posts:write')
    assert lacks(backup.delete('/api/posts/0'), 'posts:write')


def test_used_scopes_are_recorded(app, ana):
    made = make(ana, 'users:read', 'posts:read', 'likes:write')
    backup = caller(app, made)

    def used():
        return ana.get(url(made)).json['used_scopes']

    backup.get('/api/tokens')
    assert used() == []
    backup.post('/api/posts', json={'text': 'not allowed'})
    assert used() == []
    for _ in range(2):
        backup.get('/api/posts')
        assert used() == ['posts:read']
    backup.head('/api/users')
    assert sorted(used()) == ['posts:read', 'users:read']
    assert ana.get(url(made)).json['scopes'] == ['users:read', 'posts:read', 'likes:write']


def test_email_change_records_account_manage(app, ana):
    made = make(ana, 'users:write', 'account:manage')
    response = caller(app, made).put(f'/api/users/{ana.id}', json={'email': 'new@example.com'})
    assert response.status_code == 200
    assert sorted(ana.get(url(made)).json['used_scopes']) == ['account:manage', 'users:write']


def test_session_token_has_all_scopes(app, ana):
    assert ana.get('/api/tokens').json['scopes'] == ALL
    ana.get('/api/posts')
    with app.app_context():
        row = db.session.execute(select(Token.used_scopes, Token.last_used_at)).one()
    assert tuple(row) == ('', None)


def test_concurrent_scope_use_is_recorded_once(app, server, ana):
    made = make(ana)
    paths = ['/api/posts', '/api/me', '/api/me/tokens', '/api/me/export', '/api/users'] * 4
    bearer = f'Bearer {made["token"]}'
    responses = at_once([lambda path=path: server.ask('GET', path, Authorization=bearer) for path in paths])
    assert {response.status for response in responses} == {200}
    used = ana.get(url(made)).json['used_scopes']
    assert sorted(used) == ['account:export', 'posts:read', 'tokens:manage', 'users:read']


def test_last_use_is_recorded_once_a_minute(app, ana, clock):
    made = make(ana, 'users:read')
    backup = caller(app, made)

    def last_used_at():
        return ana.get(url(made)).json['last_used_at']

    first = clock.now.isoformat()
    assert last_used_at() is None
    backup.get('/api/users')
    assert last_used_at() == first
    clock.move(59)
    backup.get('/api/users')
    assert last_used_at() == first
    clock.move(1)
    assert lacks(backup.get('/api/posts'), 'posts:read')
    assert last_used_at() == clock.now.isoformat() != first


def test_token_shows_itself(app, ana):
    made = make(ana, 'posts:read', name='nightly backup')
    shown = caller(app, made).get('/api/tokens').json
    assert shown == {
        'name': 'nightly backup',
        'scopes': ['posts:read'],
        'created_at': made['created_at'],
        'expires_at': made['expires_at'],
        '_links': {'user': f'/api/users/{ana.id}'},
    }
    assert ana.get('/api/tokens').json['name'] is None


def test_token_revokes_itself(app, ana):
    made, other = make(ana, 'posts:read'), make(ana, 'posts:read')
    assert caller(app, made).delete('/api/tokens').status_code == 204
    assert (works(app, made), works(app, other)) == (False, True)
    assert ana.get(url(made)).status_code == 404


def test_personal_token_cannot_get_a_session_token(app, ana):
    backup = caller(app, make(ana))
    assert backup.post('/api/tokens').status_code == 401
    for password in (backup.token, f'Bearer {backup.token}'):
        assert ana.ask_for_token('ana', password).status_code == 401


def test_session_token_is_never_a_personal_one(app, ana):
    made = make(ana, expires_in=366 * DAY)
    assert ana.ask_for_token('ana').json['token'] == ana.token
    revoke = ana.delete('/api/tokens')
    assert revoke.status_code == 204
    assert Client.ask_for_token(app.test_client(), 'ana').json['token'] not in (made['token'], ana.token)


def test_expired_token_is_listed_and_counted(app, ana, clock):
    made = make(ana, expires_in=60)
    for _ in range(MAX_PERSONAL_TOKENS - 1):
        make(ana)
    clock.move(61)
    assert not works(app, made)
    assert ana.get(url(made)).status_code == 200
    assert ask(ana).status_code == 409
    assert ana.delete(url(made)).status_code == 204
    assert ask(ana).status_code == 201


def test_tokens_are_paged_newest_first(ana):
    ids = [make(ana)['id'] for _ in range(5)]
    page = ana.get('/api/me/tokens?per_page=2').json
    seen = []
    while True:
        seen += [item['id'] for item in page['items']]
        if not page['_links']['next']:
            break
        page = ana.get(page['_links']['next']).json
    assert seen == ids[::-1]


# Updates


def test_token_is_renamed_and_narrowed(app, ana):
    made = make(ana, 'users:read', 'posts:read', 'posts:write')
    renamed = change(ana, made, name='another').json
    assert (renamed['name'], renamed['scopes']) == ('another', made['scopes'])
    narrowed = change(ana, made, scopes=['posts:read']).json
    assert (narrowed['name'], narrowed['scopes']) == ('another', ['posts:read'])
    both = change(ana, made, name='third', scopes=['posts:read']).json
    assert (both['name'], both['scopes']) == ('third', ['posts:read'])
    assert lacks(caller(app, made).get('/api/users'), 'users:read')


def test_empty_patch_changes_nothing(app, ana):
    made = make(ana)
    before = dump_rows(app)
    assert change(ana, made).status_code == 200
    assert dump_rows(app) == before


@pytest.mark.parametrize(
    'scopes', [['posts:write'], ['posts:read', 'posts:write'], ALL, ['users:read'], ['users:read', 'posts:read']]
)
def test_token_cannot_be_widened(app, ana, scopes):
    made = make(ana, 'users:read', 'posts:read')
    assert change(ana, made, scopes=['posts:read']).status_code == 200
    before = dump_rows(app)
    for client in (ana, caller(app, make(ana, 'tokens:manage'))):
        assert errors(change(client, made, scopes=scopes, name='never')) == ['scopes']
    assert ana.get(url(made)).json['scopes'] == ['posts:read']
    assert before.count('never') == dump_rows(app).count('never') == 0


def test_token_cannot_widen_itself(app, ana):
    made = make(ana, 'tokens:manage')
    assert errors(change(caller(app, made), made, scopes=ALL)) == ['scopes']
    assert change(caller(app, made), made, scopes=['tokens:manage']).status_code == 200


def test_patch_needs_its_media_type(ana):
    made = make(ana)
    assert ana.patch(url(made), json={'name': 'another'}).status_code == 415
    assert ana.put(url(made), json={'name': 'another'}).status_code == 405


# Tokens of other users


@pytest.mark.parametrize('scopes', [None, ['tokens:manage']])
def test_other_users_tokens_are_hidden(app, ana, quick_login, scopes):
    made, ben = make(ana), quick_login('ben')
    if scopes:
        ben = caller(app, make(ben, *scopes))
    before = ana.get(url(made)).json
    responses = [ben.get(url(made)), change(ben, made, name='mine'), ben.delete(url(made))]
    unknown = {'id': made['id'] + 1000}
    responses += [ben.get(url(unknown)), change(ben, unknown, name='mine'), ben.delete(url(unknown))]
    assert [response.status_code for response in responses] == [404] * 6
    assert len({response.data for response in responses}) == 1
    assert ben.delete('/api/me/tokens').status_code == 204
    assert ana.get(url(made)).json == before
    assert [item['id'] for item in ana.get('/api/me/tokens').json['items']] == [made['id']]


def test_session_token_is_not_listed(app, ana):
    with app.app_context():
        session = {'id': db.session.scalar(select(Token.id))}
    assert ana.get('/api/me/tokens').json['items'] == []
    assert ana.get(url(session)).status_code == 404
    assert change(ana, session, name='another').status_code == 404
    assert change(ana, session, scopes=['users:read']).status_code == 404
    assert ana.delete(url(session)).status_code == 404
    assert ana.get('/api/tokens').status_code == 200


@pytest.mark.parametrize('id', ['0', '-1', 'x', str(2**63), str(2**64), '1' * 100, '1.0', '%00', '1%20OR%201=1'])
def test_invalid_id_returns_404(ana, id):
    make(ana)
    for method in ('GET', 'PATCH', 'DELETE'):
        response = ana.open(f'/api/me/tokens/{id}', method=method, data='{}', content_type=MERGE_PATCH)
        assert response.status_code == 404
    assert len(ana.get('/api/me/tokens').json['items']) == 1


# Scopes of the creator


def test_token_creates_one_with_its_own_scopes(app, ana):
    maker = caller(app, make(ana, 'tokens:manage', 'posts:read'))
    for scopes in (['tokens:manage'], ['posts:read'], ['tokens:manage', 'posts:read']):
        assert make(maker, *scopes)['scopes'] in (scopes, scopes[::-1])


@pytest.mark.parametrize(
    ('wanted', 'missing_scopes'),
    [
        (['users:read'], 'users:read'),
        (['posts:read', 'posts:write'], 'posts:write'),
        (['account:manage', 'posts:read', 'users:read', 'account:manage'], 'users:read account:manage'),
        (ALL, ' '.join(scope for scope in ALL if scope not in ('tokens:manage', 'posts:read'))),
    ],
)
def test_token_cannot_create_a_broader_one(app, ana, wanted, missing_scopes):
    maker = caller(app, make(ana, 'tokens:manage', 'posts:read'))
    response = ask(maker, scopes=wanted)
    assert lacks(response, missing_scopes)
    assert number_of_tokens(app, ana.id) == 1


def test_narrowed_token_creates_only_narrow_ones(app, ana):
    made = make(ana)
    change(ana, made, scopes=['tokens:manage', 'posts:read'])
    assert lacks(ask(caller(app, made), scopes=['users:write']), 'users:write')


def test_token_narrowed_meanwhile_creates_no_broader_one(app, ana, monkeypatch):
    """The token is narrowed after its scopes were read and before it creates another."""
    made = make(ana)

    def make_later(**wanted):
        assert change(ana, made, scopes=['tokens:manage']).status_code == 200
        return create_personal_token(**wanted)

    monkeypatch.setattr('api.routes.personal_access_tokens.create_personal_token', make_later)
    response = ask(caller(app, made), scopes=['account:manage'])
    assert response.status_code in (401, 403)
    assert number_of_tokens(app, ana.id) == 1


def test_email_change_needs_account_manage(app, ana):
    writer = caller(app, make(ana, 'users:write'))
    for method, type in (('PUT', 'application/json'), ('PATCH', MERGE_PATCH)):
        for email in ('new@example.com', 'ana@example.com.evil.example', 'ben@example.com'):
            body = json.dumps({'email': email, 'about_me': 'changed'})
            response = writer.open(f'/api/users/{ana.id}', method=method, data=body, content_type=type)
            assert lacks(response, 'account:manage')
    own = ana.get('/api/me').json
    assert (own['email'], own['about_me']) == ('ana@example.com', None)
    with app.app_context():
        assert db.session.execute(db.metadata.tables['jobs'].select()).all() == []


def test_taken_email_is_not_revealed_without_scope(app, ana, quick_login):
    quick_login('ben')
    writer = caller(app, make(ana, 'users:write'))
    taken, free = (writer.put(f'/api/users/{ana.id}', json={'email': email}) for email in ('ben@example.com', 'a@b'))
    assert taken.data == free.data


def test_unchanged_email_needs_users_write_only(app, ana):
    writer = caller(app, make(ana, 'users:write'))
    own = ana.get('/api/me').json
    for email in (own['email'], own['email'].upper()):
        response = writer.put(f'/api/users/{ana.id}', json={**own, 'email': email, 'about_me': 'changed'})
        assert (response.status_code, response.json['about_me']) == (200, 'changed')


def test_account_manage_alone_cannot_change_the_user(app, ana):
    manager = caller(app, make(ana, 'account:manage'))
    assert lacks(manager.put(f'/api/users/{ana.id}', json={'email': 'new@example.com'}), 'users:write')


# Number of tokens


def test_at_most_fifty_tokens(app, ana, quick_login):
    for _ in range(MAX_PERSONAL_TOKENS):
        make(ana)
    response = ask(ana)
    assert (response.status_code, number_of_tokens(app, ana.id)) == (409, 50)
    assert 'token' not in response.json
    assert ask(quick_login('ben')).status_code == 201


def test_at_most_fifty_tokens_concurrently(app, server, ana):
    before = MAX_PERSONAL_TOKENS - 10
    with app.app_context():
        now = utcnow()
        row = {'user_id': ana.id, 'name': 'a name', 'scopes': 'users:read', 'created_at': now}
        row |= {'expires_at': now + timedelta(hours=1)}
        rows = [row | {'digest': token_digest(generate_personal_token())} for _ in range(before)]
        db.session.execute(insert(Token), rows)
        db.session.commit()
    wanted = {'name': 'a name', 'scopes': ['users:read']}
    bearer = f'Bearer {ana.token}'
    responses = at_once([lambda: server.ask('POST', '/api/me/tokens', wanted, Authorization=bearer)] * 20)
    assert sorted(response.status for response in responses) == [201] * 10 + [409] * 10
    assert number_of_tokens(app, ana.id) == MAX_PERSONAL_TOKENS


# Revocation


def test_one_token_is_revoked_at_once(app, ana):
    made, other = make(ana), make(ana)
    assert ana.delete(url(made)).status_code == 204
    assert (works(app, made), works(app, other)) == (False, True)
    assert ana.delete(url(made)).status_code == 404
    assert [item['id'] for item in ana.get('/api/me/tokens').json['items']] == [other['id']]


def test_revoking_all_keeps_the_session_token(app, ana, quick_login):
    ben = quick_login('ben')
    bens_token, anas_tokens = make(ben), [make(ana) for _ in range(3)]
    assert ana.delete('/api/me/tokens').status_code == 204
    assert [works(app, made) for made in (*anas_tokens, bens_token)] == [False, False, False, True]
    assert ana.get('/api/tokens').status_code == 200
    assert ana.delete('/api/me/tokens').status_code == 204


def test_personal_token_revokes_all_including_itself(app, ana):
    made = make(ana, 'tokens:manage')
    assert caller(app, made).delete('/api/me/tokens').status_code == 204
    assert not works(app, made)
    assert ana.get('/api/tokens').status_code == 200


def test_disabled_account_has_no_tokens_left(app, ana):
    made = make(ana)
    with app.app_context():
        disable_account(ana.id)
        db.session.commit()
        enable_account(ana.id)
        db.session.commit()
    assert not works(app, made)
    assert ana.get('/api/tokens').status_code == 401


def end_by_password_change(user):
    change_password(
        actor=user.id, credentials_version=user.credentials_version, token_id=None, password='another battery'
    )


ENDS = {
    'a password change': end_by_password_change,
    'a password reset': lambda user: reset_password(user=user, password='another battery'),
    "an administrator's password reset": lambda user: invalidate_password(user=user),
    'disabling by an administrator': lambda user: disable_account(user.id),
    'revocation by an administrator': lambda user: revoke_user_tokens(user.id),
    'revocation of all': lambda user: revoke_personal_tokens(actor=user.id),
}


@pytest.fixture(params=ENDS)
def end(request, app, ana):
    """Return a function that ends all personal access tokens of ana, in each possible way, without a commit."""
    with app.app_context():
        user = get_user(ana.id).first()
    return lambda: ENDS[request.param](user)


def test_token_created_while_creator_ends_is_revoked(app, ana, end):
    """The token is created but not committed when all tokens are ended."""
    maker = make(ana)

    def end_and_commit():
        with app.app_context():
            end()
            db.session.commit()

    with ThreadPoolExecutor(1) as pool:
        with app.app_context():
            wanted = {'name': 'late', 'scopes': ['users:read'], 'expires_in': timedelta(hours=1)}
            create_personal_token(actor=ana.id, creator_token_id=maker['id'], **wanted)
            ending = pool.submit(end_and_commit)
            # The other transaction waits for this one. Only a timeout shows that.
            wait([ending], timeout=0.3)
            db.session.commit()
        ending.result()
    assert number_of_tokens(app, ana.id) == 0


def test_no_token_is_created_by_an_ending_one(app, ana, end):
    """All tokens are ended but not yet committed when one of them creates another."""
    maker = caller(app, make(ana))
    assert maker.get('/api/me/tokens').status_code == 200  # so that its next use within a minute is not recorded
    with ThreadPoolExecutor(1) as pool:
        with app.app_context():
            end()
            making = pool.submit(ask, maker)
            wait([making], timeout=0.3)
            db.session.commit()
        assert making.result().status_code in (201, 401)
    assert number_of_tokens(app, ana.id) == 0


def test_login_and_disable_do_not_deadlock(app, ana, clock):
    """Without a common lock order, each would hold the lock that the other waits for."""
    clock.move(3600)

    def disable():
        with app.app_context():
            disable_account(ana.id)
            db.session.commit()

    with ThreadPoolExecutor(1) as pool:
        with app.app_context():
            db.session.execute(select(User.id).where(User.id == ana.id).with_for_update(key_share=True))
            disabling = pool.submit(disable)
            wait([disabling], timeout=0.3)
            issued_tokens.add(issue_token(actor=ana.id).token)
            db.session.commit()
        disabling.result()
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Token)) == 0


def test_ended_token_creates_nothing(app, ana):
    made = make(ana)
    wanted = {'name': 'late', 'scopes': ['users:read'], 'expires_in': timedelta(hours=1)}
    ana.delete(url(made))
    with app.app_context(), pytest.raises(UnauthorizedError):
        create_personal_token(actor=ana.id, creator_token_id=made['id'], **wanted)
    with app.app_context(), pytest.raises(UnauthorizedError):
        create_personal_token(actor=ana.id, creator_token_id=None, **wanted)


def test_all_tokens_end_with_the_account(app, ana):
    made = make(ana)
    manager = caller(app, make(ana, 'account:manage'))
    assert manager.delete(f'/api/users/{ana.id}', json={'password': 'wrong'}).status_code == 400
    assert works(app, made)
    assert manager.delete(f'/api/users/{ana.id}', json={'password': PASSWORD}).status_code == 204
    assert (works(app, made), number_of_tokens(app, ana.id)) == (False, 0)
