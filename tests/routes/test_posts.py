"""Tests of posts: creation, reading, updates with history, and deletion."""

import hashlib
import json
from datetime import datetime

import pytest

from support.databases import dump_rows
from tests.routes.conftest import CHANGES
from tests.routes.test_users import MOMENT, refused_for
from tests.support.rows import add_likes, add_posts

FIELDS = ['id', 'text', 'created_at', 'edited_at', 'like_count', 'reply_count', 'liked', 'author', '_links']
LINKS = ['self', 'author', 'replies', 'likes', 'in_reply_to']
FOX, E_ACUTE = '\N{FOX FACE}', 'e\N{COMBINING ACUTE ACCENT}'
FORBIDDEN, NOT_FOUND = {'error': 'Forbidden'}, {'error': 'Not Found'}
SUBPATHS = ['', '/like', '/likes', '/replies', '/thread', '/history']


@pytest.fixture(params=CHANGES)
def edit(request):
    """Return a function that updates a post by PUT or PATCH: `edit(client, id, body)`."""

    def send(client, id, body):
        data = body if isinstance(body, bytes) else json.dumps(body)
        url = f'/api/posts/{id}'
        return client.open(url, method=request.param, data=data, content_type=CHANGES[request.param])

    return send


def write(client, text='Hello, world!', **fields):
    response = client.post('/api/posts', json={'text': text} | fields)
    assert response.status_code == 201, response.text
    return response.json


def read(client, id):
    response = client.get(f'/api/posts/{id}')
    assert response.status_code == 200, response.text
    return response.json


def history(client, id):
    return client.get(f'/api/posts/{id}/history').json['items']


def post_count(client, id):
    return client.get(f'/api/users/{id}').json['post_count']


def author_fields(id, username):
    digest = hashlib.sha256(f'{username}@example.com'.encode()).hexdigest()
    avatar = f'https://www.gravatar.com/avatar/{digest}?d=identicon&s=128'
    return {'id': id, 'username': username, '_links': {'self': f'/api/users/{id}', 'avatar': avatar}}


# Creation


def test_new_post_returns_fields_and_location(ana):
    response = ana.post('/api/posts', json={'text': 'Hello, world!'})
    id = response.json['id']
    assert (response.status_code, response.headers['Location']) == (201, f'/api/posts/{id}')
    assert list(response.json) == FIELDS
    assert list(response.json['author']) == ['id', 'username', '_links']
    assert list(response.json['author']['_links']) == ['self', 'avatar']
    assert list(response.json['_links']) == LINKS
    assert MOMENT.fullmatch(response.json['created_at'])
    assert response.json == {
        'id': id,
        'text': 'Hello, world!',
        'created_at': response.json['created_at'],
        'edited_at': None,
        'like_count': 0,
        'reply_count': 0,
        'liked': False,
        'author': author_fields(ana.id, 'ana'),
        '_links': {
            'self': f'/api/posts/{id}',
            'author': f'/api/users/{ana.id}',
            'replies': f'/api/posts/{id}/replies',
            'likes': f'/api/posts/{id}/likes',
            'in_reply_to': None,
        },
    }
    assert read(ana, id) == response.json


def test_post_has_its_creation_time(clock, ana):
    clock.move(60)
    assert datetime.fromisoformat(write(ana)['created_at']) == clock.now


def test_others_see_the_same_post(ana, bea):
    post = write(ana)
    assert read(bea, post['id']) == post


def test_posts_are_counted_for_their_author(ana, bea):
    for number in range(1, 4):
        write(ana)
        assert (post_count(bea, ana.id), post_count(bea, bea.id)) == (number, 0)


TEXTS = [
    'a',
    ' ',
    '\n',
    '0',
    'a' * 280,
    FOX * 280,
    E_ACUTE * 140,
    '\N{ZERO WIDTH JOINER}' * 280,
    '\u2028<b>&amp;</b>\t\r\n',
    '\ufeff\uffff\U0010ffff',
    'x:\x01\x1f\x7f\x85',
    '\\u0000 %s {} $1',
    "'; DROP TABLE posts; --",
]


@pytest.mark.parametrize('text', TEXTS, ids=ascii)
def test_text_of_1_to_280_code_points_is_kept(ana, edit, text):
    post = write(ana, text)
    assert (post['text'], read(ana, post['id'])['text']) == (text, text)
    other = write(ana, 'x')['id']
    assert (edit(ana, other, {'text': text}).json['text'], read(ana, other)['text']) == (text, text)


BAD_TEXTS = ['', 'a' * 281, FOX * 281, E_ACUTE * 140 + 'x', '\0', 'a\0b', 'a' * 279 + '\0', None, 5, 1.5, True, [], {}]
BAD_TEXTS += [['a'], {'text': 'a'}, [None]]


@pytest.mark.parametrize('text', BAD_TEXTS, ids=lambda text: ascii(text)[:24])
def test_invalid_text_is_rejected(app, ana, edit, text):
    id = write(ana)['id']
    before = dump_rows(app)
    assert refused_for(ana.post('/api/posts', json={'text': text}), 'text')
    assert refused_for(edit(ana, id, {'text': text}), 'text')
    assert dump_rows(app) == before


def test_text_is_required(app, ana):
    before = dump_rows(app)
    for body in ({}, {'reply_to_id': None}, {'Text': 'x'}):
        assert refused_for(ana.post('/api/posts', json=body), 'text')
    assert dump_rows(app) == before


def test_read_only_fields_are_ignored(ana, bea):
    first = write(bea)
    extra = {'author_id': bea.id, 'author': bea.id, 'like_count': -1, 'reply_count': 'x', 'unknown': [{}], '': 0}
    others = {'created_at': 'never', 'edited_at': 5, 'liked': True, 'actor': bea.id}
    post = write(ana, **extra, **others, id=first['id'], _links={'in_reply_to': first['_links']['self']})
    assert post['id'] != first['id']
    assert post['author'] == author_fields(ana.id, 'ana')
    assert (post['like_count'], post['reply_count'], post['liked'], post['edited_at']) == (0, 0, False, None)
    assert post['_links']['in_reply_to'] is None


def test_posts_need_a_token(app, ana, anonymous):
    id = write(ana)['id']
    before = dump_rows(app)
    for path in ('/api/posts', *[f'/api/posts/{id}{subpath}' for subpath in SUBPATHS]):
        assert anonymous.get(path).status_code == 401
    for method in ('PUT', 'DELETE'):
        for path in (f'/api/posts/{id}', f'/api/posts/{id}/like'):
            assert anonymous.open(path, method=method, data=b'{').status_code == 401
    assert anonymous.patch(f'/api/posts/{id}').status_code == 401
    assert anonymous.post('/api/posts', data=b'{').status_code == 401
    assert dump_rows(app) == before


@pytest.mark.parametrize(
    ('data', 'content_type', 'status'),
    [
        (b'{"text": "x"}', 'text/plain', 415),
        (b'{"text": "x"}', None, 415),
        (b'{', 'application/json', 400),
        (b'[]', 'application/json', 400),
        (b'"x"', 'application/json', 400),
        (b'', 'application/json', 400),
    ],
)
def test_body_must_be_a_json_object(app, ana, data, content_type, status):
    before = dump_rows(app)
    assert ana.post('/api/posts', data=data, content_type=content_type).status_code == status
    assert dump_rows(app) == before


# Replies


def test_reply_links_to_its_parent_and_is_counted(ana, bea):
    first = write(ana)
    assert write(ana, reply_to_id=None)['_links']['in_reply_to'] is None
    for number in range(1, 4):
        reply = write(bea, f'reply {number}', reply_to_id=first['id'])
        assert reply['_links']['in_reply_to'] == first['_links']['self']
        assert read(ana, reply['id']) == reply
        assert read(ana, first['id']) == first | {'reply_count': number}
    deeper = write(ana, reply_to_id=reply['id'])
    assert deeper['_links']['in_reply_to'] == reply['_links']['self']
    assert (read(ana, first['id'])['reply_count'], read(ana, reply['id'])['reply_count']) == (3, 1)


def test_reply_to_missing_post_is_rejected(app, ana):
    gone = write(ana)['id']
    assert ana.delete(f'/api/posts/{gone}').status_code == 204
    before = dump_rows(app)
    for id in (gone, gone + 1, 2**63 - 1):
        response = ana.post('/api/posts', json={'text': 'x', 'reply_to_id': id})
        assert refused_for(response, 'reply_to_id')
        assert list(response.json) == ['error', 'message', 'errors']
    assert dump_rows(app) == before


@pytest.mark.parametrize(
    'id', ['0', '-1', '9223372036854775808', '18446744073709551617', '9' * 300, '1.5', '1e300', 'true', '"1"', '""']
)
def test_invalid_reply_to_id_is_rejected(app, ana, id):
    write(ana)
    before = dump_rows(app)
    data = f'{{"text": "x", "reply_to_id": {id}}}'
    response = ana.post('/api/posts', data=data, content_type='application/json')
    assert refused_for(response, 'reply_to_id')
    assert dump_rows(app) == before


@pytest.mark.parametrize('id', [[], {}, [1], {'id': 1}, '1 ', 'null'])
def test_non_numeric_reply_to_id_is_rejected(ana, id):
    write(ana)
    assert refused_for(ana.post('/api/posts', json={'text': 'x', 'reply_to_id': id}), 'reply_to_id')


def test_all_errors_are_reported_at_once(ana):
    response = ana.post('/api/posts', json={'text': '', 'reply_to_id': 'x'})
    assert (response.status_code, set(response.json['errors'])) == (400, {'text', 'reply_to_id'})


# Updates


def test_update_returns_the_whole_post(clock, ana, bea, edit):
    post = write(ana, 'first')
    clock.move(5)
    response = edit(ana, post['id'], {'text': 'second'})
    assert response.status_code == 200
    assert list(response.json) == FIELDS
    assert response.json == post | {'text': 'second', 'edited_at': response.json['edited_at']}
    assert datetime.fromisoformat(response.json['edited_at']) == clock.now
    assert MOMENT.fullmatch(response.json['edited_at'])
    assert read(bea, post['id']) == response.json


def test_history_lists_earlier_texts_newest_first(clock, ana, bea, edit):
    post = write(ana, 'text 0')
    assert history(bea, post['id']) == []
    written = [post['created_at']]
    for number in range(1, 4):
        clock.move(60)
        written.append(edit(ana, post['id'], {'text': f'text {number}'}).json['edited_at'])
    kept = [{'text': f'text {number}', 'written_at': written[number]} for number in (2, 1, 0)]
    assert history(bea, post['id']) == history(ana, post['id']) == kept
    assert [list(item) for item in history(ana, post['id'])] == [['text', 'written_at']] * 3


def test_unchanged_text_creates_no_version(app, ana, edit):
    post = write(ana, 'first')
    before = dump_rows(app)
    for body in ({}, {'text': 'first'}, {'unknown': 5}, {'reply_to_id': 5}, post):
        response = edit(ana, post['id'], body)
        assert (response.status_code, response.json) == (200, post)
    assert dump_rows(app) == before


def test_restored_text_creates_a_version(ana, edit):
    id = write(ana, 'a')['id']
    for text in ('b', 'a', 'a', 'A'):
        edit(ana, id, {'text': text})
    assert [version['text'] for version in history(ana, id)] == ['a', 'b', 'a']


def test_update_accepts_only_the_text(ana, bea, edit):
    first, post = write(bea), write(ana)
    response = edit(
        ana,
        post['id'],
        {'text': 'x', 'id': 5, 'author_id': bea.id, 'like_count': 5, 'reply_to_id': first['id'], 'edited_at': None},
    )
    assert response.json == post | {'text': 'x', 'edited_at': response.json['edited_at']}
    assert read(bea, first['id'])['reply_count'] == 0


def test_update_keeps_likes_and_replies(ana, bea, edit):
    first = write(bea)
    post = write(ana, reply_to_id=first['id'])
    write(bea, reply_to_id=post['id'])
    for client in (ana, bea):
        assert client.put(f'/api/posts/{post["id"]}/like').status_code == 204
    response = edit(ana, post['id'], {'text': 'x'}).json
    assert (response['like_count'], response['reply_count'], response['liked']) == (2, 1, True)
    assert response['_links']['in_reply_to'] == first['_links']['self']


def test_other_users_posts_cannot_be_changed(app, ana, bea, edit):
    id = write(ana)['id']
    before = dump_rows(app)
    for body in ({'text': 'x'}, {}, {'text': 5}, b'{'):
        response = edit(bea, id, body)
        assert (response.status_code, response.json) == (403, FORBIDDEN)
    assert bea.put(f'/api/posts/{id}', data=b'x', content_type='text/plain').status_code == 403
    assert bea.delete(f'/api/posts/{id}').json == FORBIDDEN
    assert dump_rows(app) == before


def test_order_of_checks(ana, bea, anonymous, edit):
    id = write(ana)['id']
    for missing in (id + 1, 0, 2**63 - 1):
        assert edit(anonymous, missing, b'{').status_code == 401
        response = edit(ana, missing, b'{')
        assert (response.status_code, response.json) == (404, NOT_FOUND)
        assert ana.delete(f'/api/posts/{missing}').status_code == 404
        assert ana.put(f'/api/posts/{missing}', data=b'{', content_type='text/plain').status_code == 404
    assert edit(bea, id, b'{').status_code == 403
    for method in CHANGES:
        assert ana.open(f'/api/posts/{id}', method=method, data=b'{', content_type='text/plain').status_code == 415
    assert 'errors' not in edit(ana, id, b'{').json
    assert edit(ana, id, [{'text': 'x'}]).status_code == 400
    assert refused_for(edit(ana, id, {'text': ''}), 'text')


def test_patch_needs_its_media_type(ana):
    id = write(ana)['id']
    response = ana.patch(f'/api/posts/{id}', json={'text': 'x'})
    assert (response.status_code, response.headers['Accept-Patch']) == (415, CHANGES['PATCH'])
    assert ana.put(f'/api/posts/{id}', data=b'{}', content_type=CHANGES['PATCH']).status_code == 415


# Reading


@pytest.mark.parametrize('subpath', SUBPATHS)
def test_missing_post_returns_404(ana, subpath):
    last = write(ana)['id']
    for id in (last + 1, 0, 2**63 - 1, 2**63, 2**64 + last, '9' * 5000):
        response = ana.get(f'/api/posts/{id}{subpath}')
        assert (response.status_code, response.json) == (404, NOT_FOUND)
    for id in ('-1', 'x', '1.0', ''):
        assert ana.get(f'/api/posts/{id}{subpath or "x"}').status_code == 404


def test_head_and_options(ana):
    id = write(ana)['id']
    head, got = ana.head(f'/api/posts/{id}'), ana.get(f'/api/posts/{id}')
    assert (head.status_code, head.data, head.headers['Content-Length']) == (200, b'', got.headers['Content-Length'])
    allowed = {'': 'GET HEAD OPTIONS PUT PATCH DELETE', '/like': 'GET HEAD OPTIONS PUT DELETE'}
    for subpath, methods in allowed.items():
        response = ana.options(f'/api/posts/{id}{subpath}')
        assert set(response.headers['Allow'].split(', ')) == set(methods.split())
    response = ana.post(f'/api/posts/{id}')
    assert (response.status_code, 'Allow' in response.headers) == (405, True)


def test_author_is_current(ana, bea):
    id = write(ana)['id']
    assert ana.put(f'/api/users/{ana.id}', json={'username': 'Anna'}).status_code == 200
    assert read(bea, id)['author']['username'] == 'Anna'


# Deletion


def test_deleted_post_is_gone_everywhere(ana, bea):
    gone, stays = write(ana, 'gone')['id'], write(ana, 'stays')['id']
    for client in (ana, bea):
        assert client.put(f'/api/posts/{gone}/like').status_code == 204
    assert bea.put(f'/api/me/following/{ana.id}').status_code == 204
    response = ana.delete(f'/api/posts/{gone}')
    assert (response.status_code, response.data) == (204, b'')
    for client in (ana, bea):
        for subpath in SUBPATHS:
            response = client.get(f'/api/posts/{gone}{subpath}')
            assert (response.status_code, response.json) == (404, NOT_FOUND)
        assert client.put(f'/api/posts/{gone}/like').status_code == 404
        assert client.delete(f'/api/posts/{gone}/like').status_code == 404
        for timeline in ('/api/posts', '/api/feed', f'/api/users/{ana.id}/posts'):
            assert [item['id'] for item in client.get(timeline).json['items']] == [stays]
        assert client.get(f'/api/users/{client.id}/likes').json['items'] == []
    assert ana.put(f'/api/posts/{gone}', json={'text': 'x'}).status_code == 404
    assert ana.delete(f'/api/posts/{gone}').status_code == 404
    assert post_count(bea, ana.id) == 1


def test_post_ids_are_never_reused(ana):
    id = write(ana)['id']
    ana.delete(f'/api/posts/{id}')
    assert write(ana)['id'] > id


def test_replies_to_a_deleted_post_stay(ana, bea):
    first = write(ana)
    replies = [write(client, reply_to_id=first['id']) for client in (ana, bea)]
    deeper = write(ana, reply_to_id=replies[0]['id'])
    assert ana.delete(f'/api/posts/{first["id"]}').status_code == 204
    for reply in replies:
        shown = read(bea, reply['id'])
        assert shown['_links']['in_reply_to'] is None
        assert [post['id'] for post in bea.get(f'/api/posts/{reply["id"]}/thread').json['items']] == [reply['id']]
        assert shown['reply_count'] == (1 if reply is replies[0] else 0)
    thread = bea.get(f'/api/posts/{deeper["id"]}/thread').json['items']
    assert [post['id'] for post in thread] == [replies[0]['id'], deeper['id']]


def test_deletion_adjusts_every_count_by_one(ana, bea):
    first = write(ana)
    one, other = (write(bea, reply_to_id=first['id'])['id'] for _ in range(2))
    assert (read(ana, first['id'])['reply_count'], post_count(ana, bea.id)) == (2, 2)
    for reply, left in ((one, 1), (other, 0)):
        assert bea.delete(f'/api/posts/{reply}').status_code == 204
        assert bea.delete(f'/api/posts/{reply}').status_code == 404
        assert (read(ana, first['id'])['reply_count'], post_count(ana, bea.id)) == (left, left)
    assert post_count(ana, ana.id) == 1
    assert ana.get(f'/api/posts/{first["id"]}/replies').json['items'] == []


def test_deletion_removes_likes_and_versions_only(app, ana, bea):
    (kept,) = add_posts(app, ana.id, 1)
    add_likes(app, [(bea.id, kept)])
    ana.put(f'/api/posts/{kept}', json={'text': 'changed'})
    before = dump_rows(app)
    (gone,) = add_posts(app, ana.id, 1)
    add_likes(app, [(ana.id, gone), (bea.id, gone)])
    ana.put(f'/api/posts/{gone}', json={'text': 'changed, too'})
    assert dump_rows(app) != before
    assert ana.delete(f'/api/posts/{gone}').status_code == 204
    assert dump_rows(app) == before
