"""Tests of users: registration, representation and updates."""

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from api.app import create_app
from api.db.session import db
from api.models import User
from api.security.passwords import passwords
from support.databases import dump_rows
from tests.support.client import PASSWORD, basic
from tests.support.rows import add_follows

MEMBERS = [
    'id',
    'username',
    'last_seen',
    'about_me',
    'post_count',
    'follower_count',
    'following_count',
    '_links',
]
OWN_MEMBERS = [*MEMBERS[:2], 'email', 'email_verified', *MEMBERS[2:]]
LINKS = ['self', 'followers', 'following', 'posts', 'avatar']
MOMENT = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00')
USERNAME_TAKEN = {'error': 'Bad Request', 'message': 'please use a different username'}
EMAIL_TAKEN = {'error': 'Bad Request', 'message': 'please use a different email address'}
MISSING = 'must include username, email and password fields'
FORBIDDEN = {'error': 'Forbidden'}


def registration(**fields):
    return {'username': 'susan', 'email': 'susan@example.com', 'password': PASSWORD} | fields


def avatar(email):
    return f'https://www.gravatar.com/avatar/{hashlib.sha256(email.encode()).hexdigest()}?d=identicon&s=128'


def refused_for(response, field):
    """Return whether the response is 400 because of this field alone."""
    return (
        response.status_code == 400
        and list(response.json['errors']) == [field]
        and bool(response.json['errors'][field])
    )


# Registration


def test_registration_returns_user_and_location(anonymous):
    response = anonymous.post('/api/users', json=registration(about_me='Hello, my name is Susan!'))
    id = response.json['id']
    assert response.status_code == 201
    assert response.headers['Location'] == f'/api/users/{id}'
    assert list(response.json) == MEMBERS
    assert list(response.json['_links']) == LINKS
    assert response.json == {
        'id': id,
        'username': 'susan',
        'last_seen': None,
        'about_me': 'Hello, my name is Susan!',
        'post_count': 0,
        'follower_count': 0,
        'following_count': 0,
        '_links': {
            'self': f'/api/users/{id}',
            'followers': f'/api/users/{id}/followers',
            'following': f'/api/users/{id}/following',
            'posts': f'/api/users/{id}/posts',
            'avatar': avatar('susan@example.com'),
        },
    }


def test_registered_user_logs_in(login, anonymous):
    ana = login('ana')
    registered = anonymous.post('/api/users', json=registration()).json
    assert ana.get(registered['_links']['self']).json == registered
    assert anonymous.ask_for_token('susan').status_code == 200


def test_registration_without_about_me(anonymous):
    assert anonymous.post('/api/users', json=registration()).json['about_me'] is None
    response = anonymous.post('/api/users', json=registration(username='bea', email='bea@example.com', about_me=None))
    assert (response.status_code, response.json['about_me']) == (201, None)


@pytest.mark.parametrize(
    'missing',
    [
        ['username'],
        ['email'],
        ['password'],
        ['username', 'email'],
        ['email', 'password'],
        ['username', 'email', 'password'],
    ],
)
def test_missing_required_field_is_rejected(anonymous, app, missing):
    before = dump_rows(app)
    body = {name: value for name, value in registration().items() if name not in missing}
    response = anonymous.post('/api/users', json=body)
    assert response.status_code == 400
    assert list(response.json) == ['error', 'message', 'errors']
    assert (response.json['error'], response.json['message']) == ('Bad Request', MISSING)
    assert list(response.json['errors']) == missing
    assert dump_rows(app) == before


def test_missing_field_is_reported_first(anonymous, make_user):
    make_user('susan')
    response = anonymous.post('/api/users', json={'username': 'susan', 'email': 'no address', 'about_me': 5})
    assert response.json['message'] == MISSING


def test_unknown_registration_fields_are_ignored(anonymous, make_user):
    read = make_user('ana')
    extra = {'follower_count': 5, 'post_count': -1, 'following_count': None, 'last_seen': 'never', 'created_at': 1}
    more = {'password_hash': 'x', 'unknown': [{}], '_links': {'self': '/'}, 'avatar': 'x', '': 0}
    response = anonymous.post('/api/users', json=read | extra | more | registration())
    assert response.status_code == 201
    assert response.json['id'] != read['id']
    assert (response.json['username'], response.json['last_seen']) == ('susan', None)
    assert [response.json[f'{counted}_count'] for counted in ('post', 'follower', 'following')] == [0, 0, 0]
    assert anonymous.ask_for_token('susan').status_code == 200


# Limits and rules

LIMITS = [('username', 64), ('email', 120), ('about_me', 140)]


def of_length(field, length):
    return {
        'username': 'a' * length,
        'email': 'a' * (length - len('@example.com')) + '@example.com',
        'about_me': '\N{FOX FACE}' * length,
    }[field]


@pytest.mark.parametrize(('field', 'limit'), LIMITS)
def test_registration_enforces_length_limits(anonymous, field, limit):
    too_long = anonymous.post('/api/users', json=registration(**{field: of_length(field, limit + 1)}))
    assert refused_for(too_long, field)
    longest = anonymous.post('/api/users', json=registration(**{field: of_length(field, limit)}))
    assert longest.status_code == 201


@pytest.mark.parametrize(('field', 'limit'), LIMITS)
def test_update_enforces_length_limits(login, change, field, limit):
    ana = login('ana')
    assert refused_for(change(ana, {field: of_length(field, limit + 1)}), field)
    response = change(ana, {field: of_length(field, limit)})
    assert (response.status_code, response.json[field]) == (200, of_length(field, limit))


USERNAMES = ['a', 'Z', 'susan', 'Susan', 'su_san', 'su-san', 'su.san', 's1', 'a_', 'a-', 'a.', 'S.u-s_4.n9']
INVALID_USERNAMES = [
    '',
    '1susan',
    '_susan',
    '-susan',
    '.susan',
    'su san',
    ' susan',
    'susan ',
    'su\tsan',
    'su\nsan',
    'susan\n',
    'susan\r',
    'su\x00san',
    'su\x1fsan',
    'su\x7fsan',
    'su\x85san',
    'su\xa0san',
    'su\u200bsan',
    'su\u2028san',
    'su:san',
    ':',
    'su/san',
    'su@san',
    'su%san',
    'su+san',
    '<susan>',
    '\N{KELVIN SIGN}im',
    's\N{FULLWIDTH LATIN SMALL LETTER U}san',
]
EMAILS = [
    'susan@example.com',
    'Susan@Example.COM',
    'first.last+tag@mail.example.co.uk',
    "o'neil_7@example.org",
    '1@2.example',
    f'a@{"b" * 63}.com',
]
INVALID_EMAILS = [
    '',
    'susan',
    '@',
    '@example.com',
    'susan@',
    'a@b@example.com',
    'a@example.com,b@example.com',
    'a@example.com b@example.com',
    'a@example.com;b@example.com',
    'Susan <susan@example.com>',
    '<susan@example.com>',
    ' susan@example.com',
    'susan@example.com ',
    'susan@example.com\n',
    'susan@example.com\r\nBcc: bea@example.com',
    'su san@example.com',
    'susan@exam ple.com',
    'susan@example..com',
    'susan@.com',
    'susan@-example.com',
    'susan@example-.com',
    'su\x00san@example.com',
    f'a@{"b" * 64}.com',
    '\N{KELVIN SIGN}im@example.com',
]


@pytest.mark.parametrize(
    ('field', 'values'), [('username', USERNAMES), ('email', EMAILS), ('about_me', ['', ' ', 'x:\ty\nz', '\ufeff<b>'])]
)
def test_valid_values_are_kept(login, change, field, values):
    bea = login('bea')
    for value in values:
        response = change(bea, {field: value})
        assert (response.status_code, response.json.get(field)) == (200, value), value


@pytest.mark.parametrize(
    ('field', 'values'), [('username', INVALID_USERNAMES), ('email', INVALID_EMAILS), ('about_me', ['\0'])]
)
def test_update_rejects_invalid_values(login, app, change, field, values):
    ana = login('ana')
    before = dump_rows(app)
    assert [value for value in values if not refused_for(change(ana, {field: value}), field)] == []
    assert dump_rows(app) == before


@pytest.mark.parametrize(
    ('field', 'values'), [('username', INVALID_USERNAMES), ('email', INVALID_EMAILS), ('about_me', ['\0'])]
)
def test_registration_rejects_invalid_values(anonymous, app, field, values):
    before = dump_rows(app)
    sent = {value: anonymous.post('/api/users', json=registration(**{field: value})) for value in values}
    assert [value for value, response in sent.items() if not refused_for(response, field)] == []
    assert dump_rows(app) == before


@pytest.mark.parametrize('username', ['a', 'Susan', 'S.u-s_4.n9', 'a' * 64])
def test_every_valid_username_logs_in(anonymous, make_user, username):
    make_user(username, email='x@example.com')
    assert anonymous.ask_for_token(username).status_code == 200


# Passwords


@pytest.mark.parametrize(
    'password',
    [
        'xq7#Lp2z',
        'x#' * 64,
        '\N{FOX FACE}' * 128,
        'a b  c   d ',
        ' leading and trailing ',
        'with\0NUL\0inside',
        'tab\tline\nbell\x07',
        'co:lon::s:',
        ':starts with one',
        'p\u00e4ssw\u00f6rt \u0416\u6f22',
        '\x7f\x80\x9f\xa0\xff\u2028\u200b\ufeff',
    ],
)
def test_password_may_have_any_characters(anonymous, password):
    assert anonymous.post('/api/users', json=registration(password=password)).status_code == 201
    assert anonymous.ask_for_token('susan', password).status_code == 200
    assert anonymous.ask_for_token('susan', password[:-1]).status_code == 401
    assert anonymous.ask_for_token('susan', password.split('\0')[0] + ' ').status_code == 401


@pytest.mark.parametrize('password', ['', 'xq7#Lp2', 'x#' * 64 + 'x', '\N{FOX FACE}' * 7, '\N{FOX FACE}' * 129])
def test_password_length_is_8_to_128(anonymous, app, password):
    before = dump_rows(app)
    response = anonymous.post('/api/users', json=registration(password=password))
    assert refused_for(response, 'password')
    assert len(response.json['errors']['password']) == 1
    assert dump_rows(app) == before


@pytest.mark.parametrize(
    'password', ['password', '12345678', 'PassWord', 'PASSWORD1', 'iloveyou', 'football', 'trustno1']
)
def test_common_passwords_are_rejected(anonymous, app, password):
    before = dump_rows(app)
    assert refused_for(anonymous.post('/api/users', json=registration(password=password)), 'password')
    assert dump_rows(app) == before


def test_minimum_password_length_is_a_setting(app, settings, anonymous, monkeypatch):
    monkeypatch.setattr(passwords, 'min_length', passwords.min_length)  # restored afterwards
    stricter = create_app(replace(settings, password_min_length=12))
    client = stricter.test_client()
    assert refused_for(client.post('/api/users', json=registration(password='xq7#Lp2z%R9')), 'password')
    assert client.post('/api/users', json=registration(password='xq7#Lp2z%R9k')).status_code == 201
    with stricter.app_context():
        db.engine.dispose()


def test_password_is_never_returned(login, app, change):
    password = 'a-word-to-be-searched-for'
    ana = login('ana')
    body = registration(password=password)
    sent = [ana.post('/api/users', json=body), ana.post('/api/users', json=body)]
    sent.append(ana.post('/api/users', json=registration(username='bea', email='x', password=password)))
    sent.append(ana.post('/api/users', json=registration(username='bea', email='b@b.example', password=password * 9)))
    sent.append(ana.ask_for_token('susan', password))
    sent.append(change(ana, {'password': password}))
    sent.append(change(ana, {'password': password, 'username': ':'}))
    sent += [ana.get('/api/users'), ana.get(f'/api/users/{ana.id}'), ana.get(sent[0].headers['Location'])]
    assert [response.status_code for response in sent] == [201, 400, 400, 400, 200, 200, 400, 200, 200, 200]
    everything = ''.join(f'{response.headers}{response.text}' for response in sent)
    assert password not in everything
    assert PASSWORD not in everything
    assert 'argon2' not in everything
    assert 'password_hash' not in everything
    assert 'argon2id' in dump_rows(app)
    assert password not in dump_rows(app)


# Uniqueness

TAKEN = [
    ({'username': 'ana'}, USERNAME_TAKEN),
    ({'username': 'ANA'}, USERNAME_TAKEN),
    ({'email': 'ana@example.com'}, EMAIL_TAKEN),
    ({'email': 'Ana@EXAMPLE.com'}, EMAIL_TAKEN),
    ({'username': 'Ana', 'email': 'ANA@example.com'}, USERNAME_TAKEN),
    ({'username': 'bob', 'email': 'ana@example.com'}, USERNAME_TAKEN),
]


@pytest.mark.parametrize(('taken', 'error'), TAKEN)
def test_registration_rejects_taken_values(anonymous, app, make_user, taken, error):
    make_user('ana')
    make_user('bob')
    before = dump_rows(app)
    response = anonymous.post('/api/users', json=registration(**taken))
    assert (response.status_code, response.json) == (400, error)
    assert dump_rows(app) == before


@pytest.mark.parametrize(('taken', 'error'), TAKEN)
def test_update_rejects_taken_values(login, app, make_user, change, taken, error):
    make_user('ana')
    make_user('bob')
    susan = login('susan')
    before = dump_rows(app)
    response = change(susan, taken)
    assert (response.status_code, response.json) == (400, error)
    assert dump_rows(app) == before


def test_taken_email_with_own_username_names_the_email(login, make_user, change):
    make_user('bea')
    response = change(login('ana'), {'username': 'ana', 'email': 'bea@example.com'})
    assert (response.status_code, response.json) == (400, EMAIL_TAKEN)


@pytest.mark.parametrize('newest', ['uq_users_username', 'uq_users_email'])
def test_taken_username_is_reported_before_email(app, anonymous, make_user, newest):
    index = next(index for index in User.__table__.indexes if index.name == newest)
    with app.app_context(), db.engine.begin() as connection:
        index.drop(connection)
        index.create(connection)
    make_user('ana')
    response = anonymous.post('/api/users', json=registration(username='ANA', email='ANA@example.com'))
    assert (response.status_code, response.json) == (400, USERNAME_TAKEN)


def test_message_does_not_depend_on_the_taken_value(anonymous, make_user):
    make_user('bea', email='uq_users_username@example.com')
    make_user('uq_users_email')
    response = anonymous.post('/api/users', json=registration(email='uq_users_username@example.com'))
    assert response.json == EMAIL_TAKEN
    response = anonymous.post('/api/users', json=registration(username='UQ_users_email'))
    assert response.json == USERNAME_TAKEN


@pytest.mark.parametrize('same', ['username', 'email'])
def test_one_of_two_simultaneous_registrations_succeeds(app, login, same):
    ana = login('ana')
    barrier = Barrier(4)

    def register(number):
        free = {'username': f'name{number}', 'email': f'name{number}@example.com'}
        client = app.test_client()
        barrier.wait(60)
        return client.post('/api/users', json=registration(**(free | {same: registration()[same].upper()})))

    with ThreadPoolExecutor(4) as pool:
        responses = sorted(pool.map(register, range(4)), key=lambda response: response.status_code)
    assert [response.status_code for response in responses] == [201, 400, 400, 400]
    error = USERNAME_TAKEN if same == 'username' else EMAIL_TAKEN
    assert all(response.json == error for response in responses[1:])
    assert ana.get('/api/users').json['_meta']['total_items'] == 2


# Representation


def test_order_of_fields(login, make_user, change):
    ana = login('ana')
    bea = make_user('bea')
    own = ana.get(f'/api/users/{ana.id}').json
    assert list(own) == list(change(ana, {}).json) == OWN_MEMBERS
    assert list(ana.get(bea['_links']['self']).json) == MEMBERS
    assert list(own['_links']) == LINKS


def test_email_is_shown_to_its_owner_only(app, login, anonymous, change):
    ana, bea = login('ana'), login('bea')
    add_follows(app, [(ana.id, bea.id), (bea.id, ana.id)])
    for client, name in ((ana, 'ana'), (bea, 'bea')):
        assert client.get(f'/api/users/{client.id}').json['email'] == f'{name}@example.com'
        assert change(client, {}).json['email'] == f'{name}@example.com'
        assert change(client, {'email': f'{name}@example.org'}).json['email'] == f'{name}@example.org'
    elsewhere = [
        anonymous.post('/api/users', json=registration()),
        ana.post('/api/users', json=registration(username='chris', email='chris@example.com')),
        ana.get(f'/api/users/{bea.id}'),
        ana.get('/api/users'),
        *[ana.get(f'/api/users/{id}/{what}') for id in (ana.id, bea.id) for what in ('followers', 'following')],
        ana.ask_for_token('ana'),
        change(ana, {}, bea.id),
    ]
    assert [response.status_code for response in elsewhere] == [201, 201, 200, 200, 200, 200, 200, 200, 200, 403]
    assert [response.text for response in elsewhere if 'email' in response.text or '@' in response.text] == []


def test_avatar_is_of_the_lowercase_email(login, make_user, change):
    entry = make_user('bea', email='Bea.B@Example.COM')
    assert entry['_links']['avatar'] == avatar('bea.b@example.com')
    ana = login('ana')
    changed = change(ana, {'email': 'ANA@example.org'}).json
    assert (changed['email'], changed['_links']['avatar']) == ('ANA@example.org', avatar('ana@example.org'))


def test_last_seen_is_updated_once_a_minute(login, anonymous, make_user, clock):
    url = make_user('ana')['_links']['self']
    bea = login('bea')
    assert bea.get(url).json['last_seen'] is None

    anonymous.token = anonymous.ask_for_token('ana').json['token']
    first = clock.now.isoformat()
    assert MOMENT.fullmatch(first)
    assert anonymous.get(url).json['last_seen'] == first
    clock.move(59)
    assert anonymous.get(url).json['last_seen'] == first
    clock.move(1)
    second = clock.now.isoformat()
    assert anonymous.get(url).json['last_seen'] == second
    clock.move(30)
    assert anonymous.get(url).json['last_seen'] == bea.get(url).json['last_seen'] == second


def test_follower_counts_are_shown(app, login):
    ana, bea, chris = login('ana'), login('bea'), login('chris')
    add_follows(app, [(ana.id, chris.id), (bea.id, chris.id), (chris.id, bea.id)])
    counted = [ana.get(f'/api/users/{user.id}').json for user in (ana, bea, chris)]
    assert [(user['post_count'], user['follower_count'], user['following_count']) for user in counted] == [
        (0, 0, 1),
        (0, 1, 1),
        (0, 2, 1),
    ]


@pytest.mark.parametrize('id', ['0', '999999', '99999999999999999999', '9' * 5000])
def test_unknown_user_returns_404(login, id):
    ana = login('ana')
    for path in ('', '/followers', '/following'):
        response = ana.get(f'/api/users/{id}{path}')
        assert (response.status_code, response.json) == (404, {'error': 'Not Found'})


# Updates


def test_update_returns_the_changed_user(login, change):
    ana, bea = login('ana'), login('bea')
    url = f'/api/users/{ana.id}'
    before = ana.get(url).json
    sent = {'username': 'Ana-2', 'email': 'ana@example.net', 'about_me': 'Hello'}
    response = change(ana, sent)
    links = before['_links'] | {'avatar': avatar('ana@example.net')}
    assert (response.status_code, response.json) == (200, before | sent | {'_links': links})
    assert ana.get(url).json == response.json
    assert bea.get(url).json['username'] == 'Ana-2'
    assert (ana.ask_for_token('ana').status_code, ana.ask_for_token('ana-2').status_code) == (401, 200)


@pytest.mark.parametrize('changes', [{}, {'username': 'bea'}, {'email': 'x@y.example'}, {'about_me': 'Hello'}])
def test_omitted_fields_keep_their_values(login, change, changes):
    ana = login('ana')
    change(ana, {'about_me': 'First'})
    before = ana.get(f'/api/users/{ana.id}').json
    response = change(ana, changes)
    assert response.status_code == 200
    for field in ('username', 'email', 'about_me'):
        assert response.json[field] == changes.get(field, before[field])


def test_about_me_null_clears_it(login, change):
    ana = login('ana')
    assert change(ana, {'about_me': 'Hello'}).json['about_me'] == 'Hello'
    assert change(ana, {'about_me': None}).json['about_me'] is None


@pytest.mark.parametrize('field', ['username', 'email'])
def test_username_and_email_cannot_be_cleared(login, app, change, field):
    ana = login('ana')
    before = dump_rows(app)
    assert refused_for(change(ana, {field: None}), field)
    assert dump_rows(app) == before


def test_own_representation_can_be_sent_back(login, app, change):
    ana = login('ana')
    own = ana.get(f'/api/users/{ana.id}').json
    before = dump_rows(app)
    response = change(ana, own)
    assert (response.status_code, response.json) == (200, own)
    assert dump_rows(app) == before


def test_own_username_may_change_case(login, change):
    ana = login('ana')
    response = change(ana, {'username': 'ANA', 'email': 'ANA@example.com'})
    assert (response.status_code, response.json['username'], response.json['email']) == (200, 'ANA', 'ANA@example.com')


def test_read_only_fields_are_ignored(login, app, change):
    ana = login('ana')
    own = ana.get(f'/api/users/{ana.id}').json
    before = dump_rows(app)
    counts = {'post_count': 7, 'follower_count': -1, 'following_count': 'x'}
    others = {'id': 99, 'last_seen': None, '_links': {}, 'created_at': 1, 'password_hash': 'x', 'unknown': [{}]}
    response = change(ana, counts | others)
    assert (response.status_code, response.json) == (200, own)
    assert dump_rows(app) == before


@pytest.mark.parametrize('password', ['another fine password', 'short', '', None, 5, []])
def test_password_in_an_update_is_ignored(login, app, change, password):
    ana = login('ana')
    before = dump_rows(app)
    assert change(ana, {'password': password}).status_code == 200
    assert dump_rows(app) == before
    assert ana.ask_for_token('ana').status_code == 200


def test_other_accounts_cannot_be_changed(login, app, make_user, change):
    ana = login('ana')
    bea = make_user('bea')
    before = dump_rows(app)
    for id in (bea['id'], 0, 999999, 10**30):
        response = change(ana, {'about_me': 'x'}, id)
        assert (response.status_code, response.json) == (403, FORBIDDEN), id
    assert dump_rows(app) == before


# Order of checks


@pytest.mark.parametrize(
    ('method', 'mimetype'), [('PUT', 'application/json'), ('PATCH', 'application/merge-patch+json')]
)
def test_order_of_checks(login, anonymous, make_user, method, mimetype):
    ana = login('ana')
    bea = make_user('bea')
    own, others = f'/api/users/{ana.id}', bea['_links']['self']
    taken = b'{"username": "BEA", "email": "Bea@example.com"}'
    everything_wrong = {'content_type': 'text/plain', 'data': b'{'}

    def send(client, url, **request):
        response = client.open(url, method=method, **request)
        return response.status_code, response.json.get('message')

    assert send(anonymous, '/api/nothing', **everything_wrong) == (404, None)
    assert send(anonymous, f'{others}/', **everything_wrong) == (404, None)
    assert send(anonymous, '/api/users', **everything_wrong) == (405, None)
    assert send(anonymous, f'{others}/followers', **everything_wrong) == (405, None)
    for id in (bea['id'], ana.id, 999999, 0, 10**30):
        assert send(anonymous, f'/api/users/{id}', **everything_wrong) == (401, None)
    for id in (bea['id'], 999999, 0, 10**30):
        assert send(ana, f'/api/users/{id}', **everything_wrong) == (403, None)
    assert send(ana, own, **everything_wrong) == (415, f'the body must be {mimetype}')
    malformed = send(ana, own, content_type=mimetype, data=b'{')
    no_object = send(ana, own, content_type=mimetype, data=b'[]')
    shape = send(ana, own, content_type=mimetype, data=taken[:-1] + b', "about_me": 5}')
    uniqueness = send(ana, own, content_type=mimetype, data=taken)
    assert {malformed[0], no_object[0], shape[0], uniqueness[0]} == {400}
    assert len({malformed[1], no_object[1], shape[1], uniqueness[1], None}) == 5
    assert uniqueness[1] == 'please use a different username'


@pytest.mark.parametrize('path', ['', '/followers', '/following'])
def test_credentials_are_checked_before_existence(login, anonymous, path):
    ana = login('ana')
    url = f'/api/users/999999{path}?after=never-given-out'
    assert anonymous.get(url).status_code == 401
    assert ana.get(url).status_code == 404


def test_order_of_checks_in_a_registration(anonymous, make_user):
    make_user('ana')

    def send(data, content_type='application/json', url='/api/users'):
        return anonymous.post(url, data=data, content_type=content_type)

    taken = '{"username": "ana", "email": "ana@example.com", "password": "correct horse battery"%s}'
    assert send(b'{', 'text/plain', '/api/users/').status_code == 404
    assert send(b'{', 'text/plain', '/api/users/1').status_code == 405
    assert send(b'{', 'text/plain').status_code == 415
    assert send(b'{').json['message'] == 'the body is not valid JSON'
    assert send(b'[]').json['message'] == 'the body must be a JSON object'
    assert list(send(taken % ', "about_me": 5').json['errors']) == ['about_me']
    assert send(taken % '').json == USERNAME_TAKEN


def test_credentials_do_not_affect_a_registration(anonymous):
    headers = basic('unknown', 'nothing at all')
    assert anonymous.post('/api/users', json=registration(), headers=headers).status_code == 201
