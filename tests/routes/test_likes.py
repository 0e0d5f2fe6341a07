"""Tests of likes: liking, unliking, the likers of a post and the liked posts of a user."""

import pytest

from support.databases import dump_rows
from tests.routes.test_collections import MEMBERS, ids_of, walk
from tests.support.rows import add_follows, add_likes, add_posts, add_users


@pytest.fixture
def post(app, ana):
    """Return the id of a post by ana."""
    return add_posts(app, ana.id, 1)[0]


def state(client, post):
    """Return the like count of a post and whether the caller likes it, after comparing all ways to read them."""
    shown = client.get(f'/api/posts/{post}').json
    status = client.get(f'/api/posts/{post}/like').status_code
    assert (status == 204) == shown['liked']
    assert status in (204, 404)
    assert client.get(f'/api/posts/{post}/likes').json['_meta']['total_items'] == shown['like_count']
    return shown['like_count'], shown['liked']


def test_liking_is_idempotent(ana, bea, post):
    assert state(bea, post) == (0, False)
    for _ in range(3):
        response = bea.put(f'/api/posts/{post}/like')
        assert (response.status_code, response.data) == (204, b'')
        assert (state(bea, post), state(ana, post)) == ((1, True), (1, False))
    ana.put(f'/api/posts/{post}/like')
    assert (state(bea, post), state(ana, post)) == ((2, True), (2, True))
    for _ in range(3):
        response = bea.delete(f'/api/posts/{post}/like')
        assert (response.status_code, response.data) == (204, b'')
        assert (state(bea, post), state(ana, post)) == ((1, False), (1, True))


def test_repeating_changes_nothing_in_the_database(app, ana, bea, post):
    before = dump_rows(app)
    assert bea.delete(f'/api/posts/{post}/like').status_code == 204
    assert dump_rows(app) == before
    bea.put(f'/api/posts/{post}/like')
    before = dump_rows(app)
    assert bea.put(f'/api/posts/{post}/like').status_code == 204
    assert dump_rows(app) == before


@pytest.mark.parametrize('method', ['GET', 'PUT', 'DELETE'])
def test_unknown_post_returns_404(app, bea, post, method):
    before = dump_rows(app)
    for id in (post + 1, 0, 2**63 - 1, 2**63, '9' * 5000, 'x', -1):
        response = bea.open(f'/api/posts/{id}/like', method=method)
        assert (response.status_code, response.json) == (404, {'error': 'Not Found'})
    assert dump_rows(app) == before


def test_like_ignores_a_body(bea, post):
    assert bea.put(f'/api/posts/{post}/like', data=b'{', content_type='text/plain').status_code == 204
    assert bea.delete(f'/api/posts/{post}/like', json={'liked': True}).status_code == 204
    assert state(bea, post) == (0, False)


def test_liked_is_relative_to_the_caller(app, ana, bea, post):
    add_follows(app, [(bea.id, ana.id)])
    (reply,) = add_posts(app, ana.id, 1, reply_to=post)
    add_likes(app, [(bea.id, reply), (bea.id, post)])
    paths = ['/api/posts', '/api/feed', f'/api/users/{ana.id}/posts', f'/api/posts/{reply}/thread']
    paths += [f'/api/users/{bea.id}/likes', f'/api/posts/{post}/replies']
    for path in paths:
        for client in (ana, bea):
            shown = client.get(path).json['items']
            assert len(shown) == (1 if path.endswith('/replies') else 2)
            for item in shown:
                assert item == client.get(item['_links']['self']).json
                assert (item['liked'], item['like_count']) == (client is bea, 1)


def test_likers_are_a_collection_newest_first(app, ana, post):
    ids = add_users(app, 25)
    shuffled = ids[::2] + ids[1::2]
    add_likes(app, [(id, post) for id in shuffled])
    path = f'/api/posts/{post}/likes'
    first = ana.get(path).json
    assert list(first) == ['items', '_meta', '_links']
    assert [list(user) for user in first['items']] == [MEMBERS] * 10
    assert first['_meta'] == {'page': 1, 'per_page': 10, 'total_pages': 3, 'total_items': 25}
    assert first['_links'] == {
        'self': f'{path}?page=1&per_page=10',
        'next': f'{path}?page=2&per_page=10',
        'prev': None,
    }
    for url in (path, f'{path}?after=&per_page=7'):
        assert [id for page in walk(ana, url) for id in ids_of(page)] == shuffled[::-1]
    assert ids_of(ana.get(f'{path}?page=3').json) == shuffled[:5][::-1]
    assert ana.get(f'{path}?page=9&per_page=999').json['_meta']['per_page'] == 100


def test_renewed_like_comes_first(ana, bea, post):
    for client in (ana, bea):
        client.put(f'/api/posts/{post}/like')
    assert ids_of(ana.get(f'/api/posts/{post}/likes').json) == [bea.id, ana.id]
    ana.put(f'/api/posts/{post}/like')
    assert ids_of(ana.get(f'/api/posts/{post}/likes').json) == [bea.id, ana.id]
    ana.delete(f'/api/posts/{post}/like')
    ana.put(f'/api/posts/{post}/like')
    assert ids_of(ana.get(f'/api/posts/{post}/likes').json) == [ana.id, bea.id]


def test_post_without_likes_has_an_empty_collection(ana, post):
    page = ana.get(f'/api/posts/{post}/likes').json
    assert (page['items'], page['_meta']['total_items'], page['_meta']['total_pages']) == ([], 0, 0)


def test_liked_posts_of_a_user_newest_first(app, ana, bea):
    ids = add_posts(app, ana.id, 6)
    order = [ids[place] for place in (3, 0, 5, 1)]
    add_likes(app, [(bea.id, id) for id in order] + [(ana.id, ids[2])])
    for client in (ana, bea):
        assert ids_of(client.get(f'/api/users/{bea.id}/likes').json) == order[::-1]
        assert ids_of(client.get(f'/api/users/{ana.id}/likes').json) == [ids[2]]


def test_likers_are_shown_as_public_users(ana, post):
    ana.put(f'/api/posts/{post}/like')
    (item,) = ana.get(f'/api/posts/{post}/likes').json['items']
    own = ana.get('/api/me').json
    assert own.keys() - item.keys() == {'email', 'email_verified'}
    assert item == {name: own[name] for name in item}
