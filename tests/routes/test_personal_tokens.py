"""Personal access tokens: made, used, narrowed and ended, and what none of them gets."""

import json
import re
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from api.actions.leaving import close_account, open_account
from api.actions.passwords import change_password, reset_password, void_password
from api.actions.tokens import (
    DIGITS,
    MOST_PERSONAL_TOKENS,
    digest_of,
    issue_token,
    make_personal_token,
    new_secret,
    revoke_personal_tokens,
    revoke_tokens_of,
)
from api.clock import utcnow
from api.errors import UnauthorizedError
from api.extensions import db
from api.models import Token, User
from api.queries.users import get_user
from api.scopes import SCOPES
from tests.conftest import PASSWORD, Client, issued_tokens
from tests.contract.test_concurrency import at_once
from tests.databases import dump

ALL = list(SCOPES)
DAY = 24 * 3600
MERGE_PATCH = 'application/merge-patch+json'
INVALID_TOKEN = 'Bearer realm="Authentication Required", error="invalid_token"'
MEMBERS = ['id', 'name', 'scopes', 'used_scopes', 'created_at', 'last_used_at', 'expires_at', '_links']


@pytest.fixture
def ana(quick_login):
    return quick_login('ana')


def ask(client, **wanted):
    return client.post('/api/me/tokens', json={'name': 'a name', 'scopes': ['users:read']} | wanted)


def make(client, *scopes, **wanted):
    """The answer's body, with the secret."""
    answer = ask(client, scopes=list(scopes or ALL), **wanted)
    assert answer.status_code == 201, answer.text
    return answer.json


def caller(app, made):
    """A client with the token that was made."""
    client = app.test_client()
    client.token = made['token']
    return client


def url(made):
    return f'/api/me/tokens/{made["id"]}'


def change(client, made, **changes):
    return client.patch(url(made), data=json.dumps(changes), content_type=MERGE_PATCH)


def works(app, made):
    answer = caller(app, made).get('/api/tokens')
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


def lacks(answer, scopes):
    """Whether it is refused for these scopes alone."""
    challenge = f'Bearer error="insufficient_scope", scope="{scopes}"'
    return (answer.status_code, answer.headers.get('WWW-Authenticate')) == (403, challenge)


def number_of_tokens(app, user_id):
    with app.app_context():
        theirs = select(func.count()).where(Token.user_id == user_id, Token.seed.is_(None))
        return db.session.scalar(theirs)


def errors(answer):
    """The members that a 400 names."""
    assert answer.status_code == 400, answer.text
    return list(answer.json['errors'])


# Made


def test_the_secret_is_shown_once(app, ana):
    answer = ask(ana, name='nightly backup', scopes=['posts:read', 'users:read'])
    made = answer.json
    assert set(made) == {*MEMBERS, 'token'}
    assert re.fullmatch('mb_[0-9A-Za-z]{49}', made['token'])
    assert answer.headers['Location'] == made['_links']['self'] == url(made)
    assert answer.headers['Cache-Control'] == 'no-store'
    shown = ana.get(url(made))
    assert shown.json == {member: value for member, value in made.items() if member != 'token'}
    assert ana.get('/api/me/tokens').json['items'] == [shown.json]
    for answer in (shown, ana.get('/api/me/tokens'), change(ana, made, name='another'), ana.get('/api/me/export')):
        assert made['token'] not in answer.text
        assert made['token'][3:46] not in answer.text


def test_it_shows_what_it_is(ana, clock):
    made = make(ana, 'posts:read', 'users:read', name='nightly backup')
    assert (made['name'], made['scopes']) == ('nightly backup', ['users:read', 'posts:read'])
    assert (made['used_scopes'], made['last_used_at']) == ([], None)
    assert made['created_at'] == clock.now.isoformat()


def test_secrets_are_not_alike(ana):
    secrets = {make(ana)['token'][3:-6] for _ in range(10)}
    assert len(secrets) == 10
    assert not [position for position in range(1, 43) if len({secret[position] for secret in secrets}) == 1]


def test_only_its_digest_is_in_the_database(app, ana):
    made = make(ana)
    with app.app_context():
        row = db.session.execute(select(Token.digest, Token.seed).where(Token.id == made['id'])).one()
    assert tuple(row) == (digest_of(made['token']), None)
    assert made['token'][3:46] not in dump(app)


def test_the_digest_does_not_work_as_a_token(app, ana):
    made = make(ana)
    digest = digest_of(made['token']).hex()
    for token in (digest, digest[:32], digest[32:]):
        assert ana.get('/api/tokens', headers={'Authorization': f'Bearer {token}'}).status_code == 401


def test_a_mistyped_one_costs_no_query(app, ana, count_queries):
    token = make(ana)['token']
    mistyped = [
        token[:position] + DIGITS[(DIGITS.index(token[position]) + 1) % 62] + token[position + 1 :]
        for position in range(3, len(token))
    ]
    swapped = [token[:n] + token[n + 1] + token[n] + token[n + 2 :] for n in range(3, 51) if token[n] != token[n + 1]]
    others = [token[:-1], token + '0', token[3:], f'MB_{token[3:]}', f'mb-{token[3:]}', token.swapcase(), 'mb_']
    assert len(mistyped) == 49
    with count_queries() as statements:
        for wrong in [*mistyped, *swapped, *others]:
            answer = ana.get('/api/tokens', headers={'Authorization': f'Bearer {wrong}'})
            assert answer.status_code == 401
            assert answer.headers['WWW-Authenticate'] == INVALID_TOKEN
    assert statements == []
    assert caller(app, {'token': token}).get('/api/tokens').status_code == 200


def test_one_that_is_well_formed_but_nobodys_is_refused(ana):
    assert ana.get('/api/tokens', headers={'Authorization': f'Bearer {new_secret()}'}).status_code == 401


def test_with_another_key_of_the_server_it_goes_on(app, ana, load_keys):
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
def test_it_expires_when_it_is_told_to(app, ana, clock, sent, seconds):
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
def test_it_does_not_live_for_a_moment_or_forever(app, ana, expires_in):
    assert errors(ask(ana, expires_in=expires_in)) == ['expires_in']
    assert number_of_tokens(app, ana.id) == 0


@pytest.mark.parametrize('name', ['x', 'x' * 64, '\N{GRINNING FACE}' * 64, "'; DROP TABLE tokens; --", '<b>', '\u202e'])
def test_a_name_is_kept_as_it_is(ana, name):
    made = make(ana, name=name)
    assert made['name'] == ana.get(url(made)).json['name'] == name
    assert change(ana, made, name=name[::-1]).json['name'] == name[::-1]


@pytest.mark.parametrize('name', ['', 'x' * 65, '\N{GRINNING FACE}' * 65, 'a\0b', None, 1, True, [], {}, ['a']])
def test_a_name_has_limits(app, ana, name):
    made = make(ana)
    before = dump(app)
    assert errors(ask(ana, name=name)) == ['name']
    assert errors(change(ana, made, name=name)) == ['name']
    assert dump(app) == before


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
def test_scopes_that_there_are_not_are_refused(app, ana, scopes):
    made = make(ana)
    before = dump(app)
    assert errors(ask(ana, scopes=scopes)) == ['scopes']
    assert errors(change(ana, made, scopes=scopes)) == ['scopes']
    assert dump(app) == before


def test_a_scope_that_is_said_twice_is_there_once(app, ana):
    made = make(ana, 'posts:read', 'users:read', 'posts:read')
    assert made['scopes'] == ['users:read', 'posts:read']
    assert change(ana, made, scopes=['posts:read', 'posts:read']).json['scopes'] == ['posts:read']


@pytest.mark.parametrize('missing', ['name', 'scopes'])
def test_name_and_scopes_are_required(ana, missing):
    sent = {'name': 'a name', 'scopes': ['users:read']}
    del sent[missing]
    assert errors(ana.post('/api/me/tokens', json=sent)) == [missing]


def test_members_that_nobody_may_choose_are_ignored(app, ana, quick_login):
    ben = quick_login('ben')
    chosen = {'id': 12345, 'user_id': ben.id, 'token': 'mb_chosen', 'digest': '00', 'used_scopes': ['account:manage']}
    chosen |= {'actor': ben.id, 'allowed': ALL, 'maker': 1, 'seed': 'x', 'expires_at': '2999-01-01T00:00:00+00:00'}
    answer = ask(ana, **chosen)
    assert answer.status_code == 201
    assert (answer.json['id'] == 12345, answer.json['token'] == 'mb_chosen') == (False, False)
    assert answer.json['used_scopes'] == []
    assert (number_of_tokens(app, ana.id), number_of_tokens(app, ben.id)) == (1, 0)
    before = number_of_tokens(app, ana.id), ana.get(url(answer.json)).json
    assert change(ana, answer.json, **chosen).status_code == 200
    assert (number_of_tokens(app, ana.id), ana.get(url(answer.json)).json) == before


# Used


def test_it_does_what_its_scopes_say_and_nothing_else(app, ana):
    backup = caller(app, make(ana, 'posts:read'))
    assert backup.get('/api/posts').status_code == 200
    assert lacks(backup.get('/api/users'), 'users:read')
    assert lacks(backup.post('/api/posts', json={'text': 'hello'}), 'posts:write')
    assert lacks(backup.post('/api/posts', data=b'nonsense'), 'posts:write')
    assert lacks(backup.delete('/api/posts/0'), 'posts:write')


def test_used_scopes_are_those_that_it_used(app, ana):
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


def test_an_address_that_it_changed_counts_as_use_of_account_manage(app, ana):
    made = make(ana, 'users:write', 'account:manage')
    answer = caller(app, made).put(f'/api/users/{ana.id}', json={'email': 'new@example.com'})
    assert answer.status_code == 200
    assert sorted(ana.get(url(made)).json['used_scopes']) == ['account:manage', 'users:write']


def test_a_password_token_has_all_scopes_and_notes_none(app, ana):
    assert ana.get('/api/tokens').json['scopes'] == ALL
    ana.get('/api/posts')
    with app.app_context():
        row = db.session.execute(select(Token.used_scopes, Token.last_used_at)).one()
    assert tuple(row) == ('', None)


def test_scopes_that_are_used_at_the_same_moment_are_noted_once_each(app, server, ana):
    made = make(ana)
    paths = ['/api/posts', '/api/me', '/api/me/tokens', '/api/me/export', '/api/users'] * 4
    bearer = f'Bearer {made["token"]}'
    answers = at_once([lambda path=path: server.ask('GET', path, Authorization=bearer) for path in paths])
    assert {answer.status for answer in answers} == {200}
    used = ana.get(url(made)).json['used_scopes']
    assert sorted(used) == ['account:export', 'posts:read', 'tokens:manage', 'users:read']


def test_use_is_written_down_once_a_minute(app, ana, clock):
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


def test_it_shows_itself(app, ana):
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


def test_it_ends_itself_whatever_its_scopes(app, ana):
    made, other = make(ana, 'posts:read'), make(ana, 'posts:read')
    assert caller(app, made).delete('/api/tokens').status_code == 204
    assert (works(app, made), works(app, other)) == (False, True)
    assert ana.get(url(made)).status_code == 404


def test_it_gives_no_token_that_a_password_gives(app, ana):
    backup = caller(app, make(ana))
    assert backup.post('/api/tokens').status_code == 401
    for password in (backup.token, f'Bearer {backup.token}'):
        assert ana.ask_for_token('ana', password).status_code == 401


def test_the_token_that_a_password_gives_is_never_a_personal_one(app, ana):
    made = make(ana, expires_in=366 * DAY)
    assert ana.ask_for_token('ana').json['token'] == ana.token
    revoke = ana.delete('/api/tokens')
    assert revoke.status_code == 204
    assert Client.ask_for_token(app.test_client(), 'ana').json['token'] not in (made['token'], ana.token)


def test_an_expired_one_is_listed_and_counts_until_it_is_revoked(app, ana, clock):
    made = make(ana, expires_in=60)
    for _ in range(MOST_PERSONAL_TOKENS - 1):
        make(ana)
    clock.move(61)
    assert not works(app, made)
    assert ana.get(url(made)).status_code == 200
    assert ask(ana).status_code == 409
    assert ana.delete(url(made)).status_code == 204
    assert ask(ana).status_code == 201


def test_they_are_listed_page_by_page_the_newest_first(ana):
    ids = [make(ana)['id'] for _ in range(5)]
    page = ana.get('/api/me/tokens?per_page=2').json
    seen = []
    while True:
        seen += [item['id'] for item in page['items']]
        if not page['_links']['next']:
            break
        page = ana.get(page['_links']['next']).json
    assert seen == ids[::-1]


# Changed


def test_it_is_renamed_and_narrowed(app, ana):
    made = make(ana, 'users:read', 'posts:read', 'posts:write')
    renamed = change(ana, made, name='another').json
    assert (renamed['name'], renamed['scopes']) == ('another', made['scopes'])
    narrowed = change(ana, made, scopes=['posts:read']).json
    assert (narrowed['name'], narrowed['scopes']) == ('another', ['posts:read'])
    both = change(ana, made, name='third', scopes=['posts:read']).json
    assert (both['name'], both['scopes']) == ('third', ['posts:read'])
    assert lacks(caller(app, made).get('/api/users'), 'users:read')


def test_a_change_of_nothing_changes_nothing(app, ana):
    made = make(ana)
    before = dump(app)
    assert change(ana, made).status_code == 200
    assert dump(app) == before


@pytest.mark.parametrize(
    'scopes', [['posts:write'], ['posts:read', 'posts:write'], ALL, ['users:read'], ['users:read', 'posts:read']]
)
def test_it_is_never_widened_not_even_to_what_it_had(app, ana, scopes):
    made = make(ana, 'users:read', 'posts:read')
    assert change(ana, made, scopes=['posts:read']).status_code == 200
    before = dump(app)
    for client in (ana, caller(app, make(ana, 'tokens:manage'))):
        assert errors(change(client, made, scopes=scopes, name='never')) == ['scopes']
    assert ana.get(url(made)).json['scopes'] == ['posts:read']
    assert before.count('never') == dump(app).count('never') == 0


def test_it_does_not_widen_itself(app, ana):
    made = make(ana, 'tokens:manage')
    assert errors(change(caller(app, made), made, scopes=ALL)) == ['scopes']
    assert change(caller(app, made), made, scopes=['tokens:manage']).status_code == 200


def test_a_patch_has_a_media_type_of_its_own(ana):
    made = make(ana)
    assert ana.patch(url(made), json={'name': 'another'}).status_code == 415
    assert ana.put(url(made), json={'name': 'another'}).status_code == 405


# Whose


@pytest.mark.parametrize('scopes', [None, ['tokens:manage']])
def test_nobody_sees_changes_or_revokes_what_is_somebody_elses(app, ana, quick_login, scopes):
    made, ben = make(ana), quick_login('ben')
    if scopes:
        ben = caller(app, make(ben, *scopes))
    before = ana.get(url(made)).json
    answers = [ben.get(url(made)), change(ben, made, name='mine'), ben.delete(url(made))]
    nobodys = {'id': made['id'] + 1000}
    answers += [ben.get(url(nobodys)), change(ben, nobodys, name='mine'), ben.delete(url(nobodys))]
    assert [answer.status_code for answer in answers] == [404] * 6
    assert len({answer.data for answer in answers}) == 1
    assert ben.delete('/api/me/tokens').status_code == 204
    assert ana.get(url(made)).json == before
    assert [item['id'] for item in ana.get('/api/me/tokens').json['items']] == [made['id']]


def test_the_token_that_a_password_gave_is_not_among_them(app, ana):
    with app.app_context():
        session = {'id': db.session.scalar(select(Token.id))}
    assert ana.get('/api/me/tokens').json['items'] == []
    assert ana.get(url(session)).status_code == 404
    assert change(ana, session, name='another').status_code == 404
    assert change(ana, session, scopes=['users:read']).status_code == 404
    assert ana.delete(url(session)).status_code == 404
    assert ana.get('/api/tokens').status_code == 200


@pytest.mark.parametrize('id', ['0', '-1', 'x', str(2**63), str(2**64), '1' * 100, '1.0', '%00', '1%20OR%201=1'])
def test_what_is_no_id_is_not_found(ana, id):
    make(ana)
    for method in ('GET', 'PATCH', 'DELETE'):
        answer = ana.open(f'/api/me/tokens/{id}', method=method, data='{}', content_type=MERGE_PATCH)
        assert answer.status_code == 404
    assert len(ana.get('/api/me/tokens').json['items']) == 1


# Never more than the maker


def test_a_token_makes_one_with_what_it_has(app, ana):
    maker = caller(app, make(ana, 'tokens:manage', 'posts:read'))
    for scopes in (['tokens:manage'], ['posts:read'], ['tokens:manage', 'posts:read']):
        assert make(maker, *scopes)['scopes'] in (scopes, scopes[::-1])


@pytest.mark.parametrize(
    ('wanted', 'beyond'),
    [
        (['users:read'], 'users:read'),
        (['posts:read', 'posts:write'], 'posts:write'),
        (['account:manage', 'posts:read', 'users:read', 'account:manage'], 'users:read account:manage'),
        (ALL, ' '.join(scope for scope in ALL if scope not in ('tokens:manage', 'posts:read'))),
    ],
)
def test_a_token_never_makes_a_broader_one(app, ana, wanted, beyond):
    maker = caller(app, make(ana, 'tokens:manage', 'posts:read'))
    answer = ask(maker, scopes=wanted)
    assert lacks(answer, beyond)
    assert number_of_tokens(app, ana.id) == 1


def test_a_narrowed_token_makes_only_narrow_ones(app, ana):
    made = make(ana)
    change(ana, made, scopes=['tokens:manage', 'posts:read'])
    assert lacks(ask(caller(app, made), scopes=['users:write']), 'users:write')


def test_a_token_that_is_narrowed_meanwhile_makes_no_broader_one(app, ana, monkeypatch):
    """Its scopes were looked up; then it is narrowed, and then it makes another."""
    made = make(ana)

    def make_later(**wanted):
        assert change(ana, made, scopes=['tokens:manage']).status_code == 200
        return make_personal_token(**wanted)

    monkeypatch.setattr('api.routes.personal_tokens.make_personal_token', make_later)
    answer = ask(caller(app, made), scopes=['account:manage'])
    assert answer.status_code in (401, 403)
    assert number_of_tokens(app, ana.id) == 1


def test_without_the_scope_for_it_the_address_stays(app, ana):
    writer = caller(app, make(ana, 'users:write'))
    for method, type in (('PUT', 'application/json'), ('PATCH', MERGE_PATCH)):
        for email in ('new@example.com', 'ana@example.com.evil.example', 'ben@example.com'):
            body = json.dumps({'email': email, 'about_me': 'changed'})
            answer = writer.open(f'/api/users/{ana.id}', method=method, data=body, content_type=type)
            assert lacks(answer, 'account:manage')
    own = ana.get('/api/me').json
    assert (own['email'], own['about_me']) == ('ana@example.com', None)
    with app.app_context():
        assert db.session.execute(db.metadata.tables['outbox'].select()).all() == []


def test_without_the_scope_for_it_an_address_that_is_taken_is_not_told(app, ana, quick_login):
    quick_login('ben')
    writer = caller(app, make(ana, 'users:write'))
    taken, free = (writer.put(f'/api/users/{ana.id}', json={'email': email}) for email in ('ben@example.com', 'a@b'))
    assert taken.data == free.data


def test_with_users_write_alone_what_was_read_may_be_sent_back(app, ana):
    writer = caller(app, make(ana, 'users:write'))
    own = ana.get('/api/me').json
    for email in (own['email'], own['email'].upper()):
        answer = writer.put(f'/api/users/{ana.id}', json={**own, 'email': email, 'about_me': 'changed'})
        assert (answer.status_code, answer.json['about_me']) == (200, 'changed')


def test_with_account_manage_alone_the_entry_stays(app, ana):
    manager = caller(app, make(ana, 'account:manage'))
    assert lacks(manager.put(f'/api/users/{ana.id}', json={'email': 'new@example.com'}), 'users:write')


# How many


def test_nobody_has_more_than_fifty(app, ana, quick_login):
    for _ in range(MOST_PERSONAL_TOKENS):
        make(ana)
    answer = ask(ana)
    assert (answer.status_code, number_of_tokens(app, ana.id)) == (409, 50)
    assert 'token' not in answer.json
    assert ask(quick_login('ben')).status_code == 201


def test_nobody_has_more_than_fifty_when_many_are_asked_for_at_the_same_moment(app, server, ana):
    before = MOST_PERSONAL_TOKENS - 10
    with app.app_context():
        now = utcnow()
        row = {'user_id': ana.id, 'name': 'a name', 'scopes': 'users:read', 'created_at': now}
        row |= {'expires_at': now + timedelta(hours=1)}
        rows = [row | {'digest': digest_of(new_secret())} for _ in range(before)]
        db.session.execute(insert(Token), rows)
        db.session.commit()
    wanted = {'name': 'a name', 'scopes': ['users:read']}
    bearer = f'Bearer {ana.token}'
    answers = at_once([lambda: server.ask('POST', '/api/me/tokens', wanted, Authorization=bearer)] * 20)
    assert sorted(answer.status for answer in answers) == [201] * 10 + [409] * 10
    assert number_of_tokens(app, ana.id) == MOST_PERSONAL_TOKENS


# Ended


def test_one_is_revoked_at_once(app, ana):
    made, other = make(ana), make(ana)
    assert ana.delete(url(made)).status_code == 204
    assert (works(app, made), works(app, other)) == (False, True)
    assert ana.delete(url(made)).status_code == 404
    assert [item['id'] for item in ana.get('/api/me/tokens').json['items']] == [other['id']]


def test_all_are_revoked_and_the_one_that_a_password_gave_goes_on(app, ana, quick_login):
    ben = quick_login('ben')
    theirs, makes = make(ben), [make(ana) for _ in range(3)]
    assert ana.delete('/api/me/tokens').status_code == 204
    assert [works(app, made) for made in (*makes, theirs)] == [False, False, False, True]
    assert ana.get('/api/tokens').status_code == 200
    assert ana.delete('/api/me/tokens').status_code == 204


def test_one_of_them_revokes_all_with_itself(app, ana):
    made = make(ana, 'tokens:manage')
    assert caller(app, made).delete('/api/me/tokens').status_code == 204
    assert not works(app, made)
    assert ana.get('/api/tokens').status_code == 200


def test_a_disabled_account_has_none_left_when_it_is_enabled(app, ana):
    made = make(ana)
    with app.app_context():
        close_account(ana.id)
        db.session.commit()
        open_account(ana.id)
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
    "an administrator's password reset": lambda user: void_password(user=user),
    'an administrator who disables': lambda user: close_account(user.id),
    'an administrator who revokes': lambda user: revoke_tokens_of(user.id),
    'revoking all': lambda user: revoke_personal_tokens(actor=user.id),
}


@pytest.fixture(params=ENDS)
def end(request, app, ana):
    """Ends all personal access tokens of ana's in one of the ways that there are. Commits nothing."""
    with app.app_context():
        user = get_user(ana.id).first()
    return lambda: ENDS[request.param](user)


def test_one_that_is_made_while_its_maker_is_ended_does_not_survive(app, ana, end):
    """It is made, but not committed, when somebody ends all there are."""
    maker = make(ana)

    def end_and_commit():
        with app.app_context():
            end()
            db.session.commit()

    with ThreadPoolExecutor(1) as pool:
        with app.app_context():
            wanted = {'name': 'late', 'scopes': ['users:read'], 'expires_in': timedelta(hours=1)}
            make_personal_token(actor=ana.id, maker=maker['id'], **wanted)
            ending = pool.submit(end_and_commit)
            # Whoever ends them waits for this one, which can only be seen by waiting.
            wait([ending], timeout=0.3)
            db.session.commit()
        ending.result()
    assert number_of_tokens(app, ana.id) == 0


def test_none_is_made_while_its_maker_is_being_ended(app, ana, end):
    """All are ended, which is not committed yet, when one of them makes another."""
    maker = caller(app, make(ana))
    assert maker.get('/api/me/tokens').status_code == 200  # after which its use is not written down for a minute
    with ThreadPoolExecutor(1) as pool:
        with app.app_context():
            end()
            making = pool.submit(ask, maker)
            wait([making], timeout=0.3)
            db.session.commit()
        assert making.result().status_code in (201, 401)
    assert number_of_tokens(app, ana.id) == 0


def test_a_log_in_and_an_administrator_who_disables_do_not_wait_for_each_other(app, ana, clock):
    """Each has locked what the other wants, if they do not lock in one order."""
    clock.move(3600)

    def disable():
        with app.app_context():
            close_account(ana.id)
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


def test_from_a_token_that_has_ended_nothing_comes(app, ana):
    made = make(ana)
    wanted = {'name': 'late', 'scopes': ['users:read'], 'expires_in': timedelta(hours=1)}
    ana.delete(url(made))
    with app.app_context(), pytest.raises(UnauthorizedError):
        make_personal_token(actor=ana.id, maker=made['id'], **wanted)
    with app.app_context(), pytest.raises(UnauthorizedError):
        make_personal_token(actor=ana.id, maker=None, **wanted)


def test_all_end_with_the_account(app, ana):
    made = make(ana)
    manager = caller(app, make(ana, 'account:manage'))
    assert manager.delete(f'/api/users/{ana.id}', json={'password': 'wrong'}).status_code == 400
    assert works(app, made)
    assert manager.delete(f'/api/users/{ana.id}', json={'password': PASSWORD}).status_code == 204
    assert (works(app, made), number_of_tokens(app, ana.id)) == (False, 0)
