"""Tests of following, relationships, the current user, and users by name."""

from urllib.parse import quote

import pytest

from support.databases import dump_rows
from tests.routes.test_collections import ids_of
from tests.routes.test_users import OWN_MEMBERS
from tests.support.rows import add_follows, add_users

NOT_FOUND = {'error': 'Not Found'}


def counts(client, id):
    """Return the numbers of followers and followed users, which must be the same everywhere."""
    shown = client.get(f'/api/users/{id}').json
    found = shown['follower_count'], shown['following_count']
    for path, count in zip(('followers', 'following'), found, strict=True):
        page = client.get(f'/api/users/{id}/{path}').json
        assert (page['_meta']['total_items'], len(page['items'])) == (count, count)
    return found


# Following


def test_following_is_idempotent(ana, bea):
    url = f'/api/me/following/{bea.id}'
    assert ana.get(url).status_code == 404
    for _ in range(3):
        response = ana.put(url)
        assert (response.status_code, response.data) == (204, b'')
        assert (ana.get(url).status_code, ana.get(url).data) == (204, b'')
        assert bea.get(f'/api/me/following/{ana.id}').status_code == 404
        assert (counts(ana, ana.id), counts(ana, bea.id)) == ((0, 1), (1, 0))
    assert bea.put(f'/api/me/following/{ana.id}').status_code == 204
    assert (counts(ana, ana.id), counts(ana, bea.id)) == ((1, 1), (1, 1))
    for _ in range(3):
        response = ana.delete(url)
        assert (response.status_code, response.data) == (204, b'')
        assert (ana.get(url).status_code, ana.get(url).json) == (404, NOT_FOUND)
        assert (counts(ana, ana.id), counts(ana, bea.id)) == ((1, 0), (0, 1))


def test_repeating_changes_nothing_in_the_database(app, ana, bea):
    url = f'/api/me/following/{bea.id}'
    before = dump_rows(app)
    assert ana.delete(url).status_code == 204
    assert dump_rows(app) == before
    ana.put(url)
    before = dump_rows(app)
    assert ana.put(url).status_code == 204
    assert dump_rows(app) == before


@pytest.mark.parametrize('method', ['PUT', 'DELETE'])
def test_self_follow_is_rejected(app, ana, method):
    before = dump_rows(app)
    response = ana.open(f'/api/me/following/{ana.id}', method=method)
    assert response.status_code == 400
    assert list(response.json) == ['error', 'message']
    assert response.json['message']
    assert ana.get(f'/api/me/following/{ana.id}').status_code == 404
    assert dump_rows(app) == before


@pytest.mark.parametrize('method', ['GET', 'PUT', 'DELETE'])
def test_unknown_user_returns_404(app, ana, method):
    before = dump_rows(app)
    for id in (ana.id + 1, 0, 2**63 - 1, 2**63, '9' * 5000, 'x', -1):
        response = ana.open(f'/api/me/following/{id}', method=method)
        assert (response.status_code, response.json) == (404, NOT_FOUND)
    assert dump_rows(app) == before


def test_renewed_follow_comes_first(app, ana):
    ids = add_users(app, 3)
    for id in ids:
        ana.put(f'/api/me/following/{id}')
    ana.put(f'/api/me/following/{ids[0]}')
    assert ids_of(ana.get(f'/api/users/{ana.id}/following').json) == ids[::-1]
    ana.delete(f'/api/me/following/{ids[0]}')
    ana.put(f'/api/me/following/{ids[0]}')
    assert ids_of(ana.get(f'/api/users/{ana.id}/following').json) == [ids[0], ids[2], ids[1]]


def test_own_resources_need_a_token(anonymous):
    for path in ('/api/me', '/api/feed', '/api/me/relationships', '/api/me/relationships?id=1', '/api/me/following/1'):
        response = anonymous.get(path)
        assert (response.status_code, response.json) == (401, {'error': 'Unauthorized'})
    assert anonymous.put('/api/me/following/1').status_code == 401
    assert anonymous.delete('/api/me/following/1').status_code == 401


# Current user


def test_me_is_the_own_user(ana, bea):
    ana.post('/api/posts', json={'text': 'x'})
    ana.put(f'/api/me/following/{bea.id}')
    for client, name in ((ana, 'ana'), (bea, 'bea')):
        shown = client.get('/api/me')
        assert (shown.status_code, list(shown.json)) == (200, OWN_MEMBERS)
        assert shown.json == client.get(f'/api/users/{client.id}').json
        assert shown.json['email'] == f'{name}@example.com'
    assert (ana.get('/api/me').json['post_count'], ana.get('/api/me').json['following_count']) == (1, 1)


# Relationships


def related(client, *ids):
    response = client.get('/api/me/relationships', query_string=[('id', id) for id in ids])
    assert response.status_code == 200, response.text
    assert list(response.json) == ['items']
    assert all(list(item) == ['id', 'follows', 'followed_by'] for item in response.json['items'])
    return [tuple(item.values()) for item in response.json['items']]


def test_relationships_show_both_directions(app, ana):
    ids = add_users(app, 4)
    add_follows(app, [(ana.id, ids[0]), (ids[1], ana.id), (ana.id, ids[2]), (ids[2], ana.id), (ids[0], ids[1])])
    expected = [(ids[0], True, False), (ids[1], False, True), (ids[2], True, True), (ids[3], False, False)]
    assert related(ana, *ids[::-1]) == related(ana, *ids) == expected
    assert related(ana, ids[2]) == expected[2:3]


def test_no_relationship_with_oneself(ana):
    assert related(ana, ana.id) == [(ana.id, False, False)]


def test_repeated_ids_are_returned_once(app, ana):
    (id,) = add_users(app, 1)
    assert related(ana, id, id, id) == [(id, False, False)]


def test_unknown_ids_are_omitted(app, ana):
    (id,) = add_users(app, 1)
    assert related(ana, id + 1, id, 2**63 - 1, id + 2) == [(id, False, False)]
    assert related(ana, id + 1) == []


def test_at_most_a_hundred_ids(app, ana):
    ids = add_users(app, 101)
    add_follows(app, [(ana.id, id) for id in ids])
    assert related(ana, *ids[:100]) == [(id, True, False) for id in ids[:100]]
    for url in ('?' + '&'.join(f'id={id}' for id in ids), '?' + 'id=1&' * 101, '', '?', '?other=1'):
        response = ana.get(f'/api/me/relationships{url}')
        assert (response.status_code, list(response.json['errors'])) == (400, ['id'])


@pytest.mark.parametrize(
    'id', ['', 'x', '1.5', '0x1', '1,2', '%00', '%FF', 'null', 'true', '[]', '0', '-1', str(2**63), '9' * 400]
)
def test_invalid_id_is_rejected(ana, id):
    for query in (f'id={id}', f'id={ana.id}&id={id}'):
        response = ana.get(f'/api/me/relationships?{query}')
        assert (response.status_code, list(response.json['errors'])) == (400, ['id'])
        assert response.json['errors']['id']


# Users by name


def named(client, query):
    response = client.get(f'/api/users?{query}')
    assert response.status_code == 200, response.text
    return response.json


@pytest.mark.parametrize('name', ['Susan', 'susan', 'SUSAN', 'sUSAN'])
def test_user_is_found_by_username_in_any_case(app, ana, quick_login, name):
    susan = quick_login('Susan')
    add_users(app, 1, 'susan')
    page = named(ana, f'username={name}')
    assert page['items'] == [ana.get(f'/api/users/{susan.id}').json]
    assert page['_meta'] == {'page': 1, 'per_page': 10, 'total_pages': 1, 'total_items': 1}
    assert page['_links'] == {'self': f'/api/users?username={name}&page=1&per_page=10', 'next': None, 'prev': None}


UNKNOWN = [
    'unknown',
    'su',
    'susan1',
    'susan ',
    ' susan',
    'su%',
    '%',
    '_____',
    'su*',
    '',
    ' ',
    '\0',
    'susan\0',
    '\ud7ff',
]
UNKNOWN += ["' OR 1=1 --", 'a' * 5000, '\N{LATIN SMALL LETTER LONG S}usan', '\N{KELVIN SIGN}im', 'a&b=c#d/?', '\x7f']


@pytest.mark.parametrize('name', UNKNOWN, ids=lambda name: ascii(name)[:24])
def test_unknown_username_returns_no_users(ana, quick_login, name):
    quick_login('susan')
    quick_login('kim')
    for query in ('', '&after=', '&before=', '&page=3&per_page=5'):
        page = named(ana, f'username={quote(name)}{query}')
        assert (page['items'], page['_meta']['total_items'], page['_meta']['total_pages']) == ([], 0, 0)
        assert page['_links']['next'] is None
        assert ana.get(page['_links']['self']).json['items'] == []


@pytest.mark.parametrize('name', ['%FF', '%ED%A0%80', '%', '%zz', '+'])
def test_invalid_username_returns_no_users(ana, name):
    assert named(ana, f'username={name}')['items'] == []


def test_links_keep_the_username_filter(ana):
    page = named(ana, 'username=ana&page=3&per_page=5')
    assert page['items'] == []
    assert page['_links'] == {
        'self': '/api/users?username=ana&page=3&per_page=5',
        'next': None,
        'prev': '/api/users?username=ana&page=1&per_page=5',
    }
    assert ids_of(ana.get(page['_links']['prev']).json) == [ana.id]
    assert named(ana, 'username=a%26b%3Dc')['_links']['self'] == '/api/users?username=a%26b%3Dc&page=1&per_page=10'
    assert ids_of(named(ana, 'username=ana&after=')) == ids_of(named(ana, 'username=ana&before=')) == [ana.id]


def test_users_link_to_their_posts(ana, bea):
    users = named(ana, '')['items']
    assert users
    for user in users:
        assert user['_links']['posts'] == f'/api/users/{user["id"]}/posts'
        assert ana.get(user['_links']['posts']).status_code == 200
