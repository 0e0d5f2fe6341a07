"""Tests of timelines: iteration, polling and contents."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.routes.test_collections import HUGE, NO_NUMBERS, ids_of, position_in, refused, walk
from tests.support.client import Client
from tests.support.rows import add_follows, add_likes, add_posts, remove_follow

POST = ['id', 'text', 'created_at', 'edited_at', 'like_count', 'reply_count', 'liked', 'author', '_links']


class Filled(NamedTuple):
    """A timeline.

    texts: of its items, in the documented order.
    add: adds an item with this text, None if the timeline cannot grow.
    newer: name of the link to newer items.
    """

    client: Client
    path: str
    texts: list[str]
    add: Callable[[str], None] | None
    newer: str = 'prev'

    @property
    def older(self):
        return {'prev': 'next', 'next': 'prev'}[self.newer]

    def get(self, query=''):
        response = self.client.get(self.path + query)
        assert response.status_code == 200, response.text
        return response.json


def texts(number):
    return [f'post {n}' for n in range(number)]


def posts(app, ana, bea, number):
    for n in range(number):
        add_post(app, (ana, bea)[n % 2], f'post {n}')
    return '/api/posts', texts(number)[::-1], lambda text: add_post(app, bea, text)


def users_posts(app, ana, bea, number):
    for text in texts(number):
        add_post(app, ana, text)
        add_post(app, bea, 'noise')
    return f'/api/users/{ana.id}/posts', texts(number)[::-1], lambda text: add_post(app, ana, text)


def users_likes(app, ana, bea, number):
    ids = add_posts(app, ana.id, number)
    order = [*range(0, number, 2), *range(1, number, 2)]
    add_likes(app, [pair for place in order for pair in ((bea.id, ids[place]), (ana.id, ids[place]))])
    add_posts(app, ana.id, 1, 'noise')

    def add(text):
        add_likes(app, [(bea.id, add_post(app, ana, text))])

    return f'/api/users/{bea.id}/likes', [f'post {n}' for n in order[::-1]], add


def replies(app, ana, bea, number):
    first, other = add_posts(app, ana.id, 2, 'noise')
    for n in range(number):
        add_post(app, (ana, bea)[n % 2], f'post {n}', first)
        add_post(app, bea, 'noise', other)
    return f'/api/posts/{first}/replies', texts(number), lambda text: add_post(app, bea, text, first), 'next'


def thread(app, ana, bea, number):
    id = None
    for text in texts(number):
        id = add_post(app, bea, text, id)
        add_post(app, ana, 'noise', id)
    return f'/api/posts/{id}/thread', texts(number), None, 'next'


def history(app, ana, bea, number):
    id = add_post(app, ana, 'post 0')

    def edit(text):
        assert ana.put(f'/api/posts/{id}', json={'text': text}).status_code == 200

    for n in range(1, number + 1):
        edit(f'post {n}')

    def add_version(text):
        edit(text)
        edit(f'{text}, and more')

    return f'/api/posts/{id}/history', texts(number)[::-1], add_version


def feed(app, ana, bea, number):
    carl = bea.others('carl')
    add_follows(app, [(ana.id, bea.id), (carl.id, ana.id), (bea.id, carl.id)])
    for n in range(number):
        add_post(app, (ana, bea)[n % 3 > 0], f'post {n}')
        add_post(app, carl, 'noise')
    return '/api/feed', texts(number)[::-1], lambda text: add_post(app, bea, text)


def add_post(app, client, text, reply_to=None):
    response = client.post('/api/posts', json={'text': text, 'reply_to_id': reply_to})
    assert response.status_code == 201, response.text
    return response.json['id']


GROWING = [posts, users_posts, users_likes, replies, history, feed]


def filler(kind, app, quick_login):
    def make(number):
        ana, bea = quick_login('ana'), quick_login('bea')
        bea.others = quick_login
        return Filled(ana, *kind(app, ana, bea, number))

    return make


@pytest.fixture(params=[*GROWING, thread], ids=lambda kind: kind.__name__)
def fill(request, app, quick_login):
    """Return a function that creates a timeline of a cursors size, for each kind of timeline."""
    return filler(request.param, app, quick_login)


@pytest.fixture(params=GROWING, ids=lambda kind: kind.__name__)
def fill_growing(request, app, quick_login):
    """Return a function like `fill`, for the kinds of timelines that can grow."""
    return filler(request.param, app, quick_login)


def texts_of(page):
    return [item['text'] for item in page['items']]


def poll(filled, url):
    """Return the new items from this link on, in the order of the timeline, and the link for the next poll."""
    found = []
    for _ in range(50):
        page = filled.client.get(url).json
        url = page['_links'][filled.newer]
        assert url is not None
        if not page['items']:
            return found, url
        found = found + texts_of(page) if filled.newer == 'next' else texts_of(page) + found
    raise AssertionError('polling never ends')


# Shape


def test_page_has_items_meta_and_links_in_order(fill):
    filled = fill(3)
    page = filled.get()
    assert list(page) == ['items', '_meta', '_links']
    assert page['_meta'] == {'per_page': 10}
    assert list(page['_links']) == ['self', 'next', 'prev']
    assert page['_links']['self'] == f'{filled.path}?per_page=10'
    assert texts_of(page) == filled.texts
    if not filled.path.endswith('/history'):
        assert [list(item) for item in page['items']] == [POST] * 3
        assert [filled.client.get(item['_links']['self']).json for item in page['items']] == page['items']


def test_newer_link_is_always_present(fill):
    filled = fill(5)
    for per_page, more in ((4, True), (5, False), (6, False)):
        links = filled.get(f'?per_page={per_page}')['_links']
        assert links[filled.newer].startswith(f'{filled.path}?per_page={per_page}&')
        assert (links[filled.older] is not None) == (more if filled.older == 'next' else False)


def test_head_equals_get(fill):
    filled = fill(2)
    response = filled.client.head(filled.path)
    assert (response.status_code, response.data) == (200, b'')


# Iteration


@pytest.mark.parametrize('per_page', [1, 4, 6, 12])
def test_forward_and_backward_iteration_agree(fill, per_page):
    filled = fill(12)
    pages = [filled.get(f'?per_page={per_page}')]
    while pages[-1]['_links']['next'] and pages[-1]['items'] and len(pages) < 50:
        pages.append(filled.client.get(pages[-1]['_links']['next']).json)
    pages = [page for page in pages if page['items']]
    assert [texts_of(page) for page in pages] == [
        filled.texts[start : start + per_page] for start in range(0, 12, per_page)
    ]
    assert all(page['_meta'] == {'per_page': per_page} for page in pages)
    backward = [pages[-1]]
    while backward[-1]['_links']['prev'] and backward[-1]['items'] and len(backward) < 50:
        backward.append(filled.client.get(backward[-1]['_links']['prev']).json)
    assert [texts_of(page) for page in backward if page['items']] == [texts_of(page) for page in pages[::-1]]


def test_empty_cursor_starts_at_its_end(fill):
    filled = fill(7)
    assert texts_of(filled.get('?per_page=3&after=')) == filled.texts[:3]
    assert texts_of(filled.get('?per_page=3&before=')) == filled.texts[-3:]


def test_per_page_may_change_while_iterating(fill):
    filled = fill(7)
    url = filled.get('?per_page=2')['_links']['next']
    assert texts_of(filled.client.get(url.replace('per_page=2', 'per_page=4')).json) == filled.texts[2:6]


def test_iteration_sees_stable_items_exactly_once(app, ana):
    ids = add_posts(app, ana.id, 20)[::-1]
    url, seen, steps = '/api/posts?per_page=4', [], iter([(3, 4), (1, 9, 10, 11, 12), (18,)])
    while url:
        page = ana.get(url).json
        seen += ids_of(page)
        for place in next(steps, ()):
            assert ana.delete(f'/api/posts/{ids[place]}').status_code == 204
        add_posts(app, ana.id, 1, 'late')
        url = page['_links']['next']
    assert seen == [id for place, id in enumerate(ids) if place not in (4, 9, 10, 11, 12, 18)]


# Polling


def test_each_poll_finds_new_items_exactly_once(fill_growing):
    filled = fill_growing(3)
    url = poll(filled, filled.get()['_links'][filled.newer])[1]
    for number in (0, 1, 3, 0, 11, 1):
        added = [f'new {number} {n}' for n in range(number)]
        for text in added:
            filled.add(text)
        found, url = poll(filled, url)
        found = [text for text in found if text.startswith('new ') and not text.endswith('more')]
        assert found == (added if filled.newer == 'next' else added[::-1])


def test_empty_timeline_can_be_polled(fill_growing):
    filled = fill_growing(0)
    page = filled.get()
    assert (page['items'], page['_links'][filled.older]) == ([], None)
    found, url = poll(filled, page['_links'][filled.newer])
    assert found == []
    filled.add('new')
    found, url = poll(filled, url)
    assert 'new' in found
    assert poll(filled, url)[0] == []
    found, _ = poll(filled, page['_links'][filled.newer])
    assert 'new' in found


def test_empty_poll_leads_back_to_everything(fill):
    filled = fill(5)
    page = filled.get('?per_page=100')
    empty = filled.client.get(page['_links'][filled.newer]).json
    assert empty['items'] == []
    back = filled.client.get(empty['_links'][filled.older]).json
    assert texts_of(back) == filled.texts


def test_empty_older_page_leads_back_to_everything(app, ana):
    ids = add_posts(app, ana.id, 6)[::-1]
    url = ana.get('/api/posts?per_page=3').json['_links']['next']
    for id in ids[3:]:
        ana.delete(f'/api/posts/{id}')
    empty = ana.get(url).json
    assert (empty['items'], empty['_links']['next']) == ([], None)
    assert ids_of(ana.get(empty['_links']['prev']).json) == ids[:3]


def test_empty_first_page_of_replies_leads_on(app, ana):
    (first,) = add_posts(app, ana.id, 1)
    ids = add_posts(app, ana.id, 6, reply_to=first)
    path = f'/api/posts/{first}/replies'
    url = ana.get(ana.get(f'{path}?per_page=3').json['_links']['next']).json['_links']['prev']
    for id in ids[:3]:
        ana.delete(f'/api/posts/{id}')
    empty = ana.get(url).json
    assert empty['items'] == []
    assert ids_of(ana.get(empty['_links']['next']).json) == ids[3:]


def test_polling_continues_after_newest_was_deleted(app, ana):
    ids = add_posts(app, ana.id, 3)
    url = ana.get('/api/posts').json['_links']['prev']
    ana.delete(f'/api/posts/{ids[-1]}')
    assert ids_of(ana.get(url).json) == []
    (new,) = add_posts(app, ana.id, 1)
    assert ids_of(ana.get(url).json) == [new]


# Cursors and numbers


@pytest.mark.parametrize('parameter', ['after', 'before'])
def test_forged_cursor_is_rejected(fill, parameter):
    filled = fill(3)
    cursor = position_in(filled.get('?per_page=1')['_links']['next'])
    odd = ['0', '5', 'null', 'abc', '=', '%00', '%FF', ' ', '-1', 'A' * 22, 'A' * 5000, "'", cursor[:-1]]
    odd += [cursor + 'A', cursor + '=', ' ' + cursor, cursor.swapcase(), cursor * 2, 'B' + cursor[1:]]
    odd += [cursor[:place] + ('A' if old != 'A' else 'B') + cursor[place + 1 :] for place, old in enumerate(cursor)]
    assert [text for text in odd if not refused(filled.client.get(f'{filled.path}?{parameter}={text}'))] == []
    assert filled.client.get(f'{filled.path}?{parameter}={cursor}').status_code == 200


def test_cursor_of_another_timeline_is_rejected(app, ana, bea):
    ids = add_posts(app, ana.id, 2)
    for id in ids:
        add_posts(app, bea.id, 2, reply_to=id)
        for text in ('a', 'b'):
            ana.put(f'/api/posts/{id}', json={'text': text})
    paths = ['/api/posts', '/api/feed', '/api/users']
    paths += [f'/api/users/{user.id}/{what}' for user in (ana, bea) for what in ('posts', 'likes')]
    paths += [f'/api/posts/{id}/{what}' for id in ids for what in ('replies', 'thread', 'history')]
    add_likes(app, [(user.id, id) for user in (ana, bea) for id in ids])
    cursors = {}
    for path in paths:
        links = ana.get(f'{path}?per_page=1&after=').json['_links']
        cursors[path] = position_in(links['next'] or links['prev'])
    for path in paths:
        for other, cursor in cursors.items():
            for parameter in ('after', 'before'):
                assert refused(ana.get(f'{path}?{parameter}={cursor}')) == (path != other)


def test_cursor_keys_rotate(app, ana, load_keys):
    ids = add_posts(app, ana.id, 3)
    url = ana.get('/api/feed?per_page=1').json['_links']['next']
    load_keys('k' * 32)
    assert refused(ana.get(url))
    load_keys('k' * 32, ('a-sample-key-for-development-only',))
    assert ids_of(ana.get(url).json) == [ids[1]]


@pytest.mark.parametrize(
    ('sent', 'per_page'),
    [
        *[(text, 10) for text in NO_NUMBERS],
        *[(number, 1) for number in ('0', '-1', '-0', '-' + '9' * 22, '1')],
        *[(number, 3) for number in ('3', ' 3 ', '003', '0' * 5000 + '3')],
        *[(number, 100) for number in ('100', '101', *HUGE)],
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_odd_per_page_is_clamped_or_default(app, ana, sent, per_page):
    ids = add_posts(app, ana.id, 11)[::-1]
    for path in ('/api/posts', '/api/feed'):
        page = ana.get(f'{path}?per_page={sent}').json
        assert page['_meta'] == {'per_page': per_page}
        assert page['_links']['self'] == f'{path}?per_page={per_page}'
        assert ids_of(page) == ids[:per_page]


def test_page_number_is_ignored(app, ana):
    add_posts(app, ana.id, 11)
    for path in ('/api/posts', '/api/feed'):
        assert ana.get(f'{path}?page=2&sort=text').json == ana.get(path).json


@pytest.mark.parametrize('what', ['posts', 'likes'])
def test_timelines_of_unknown_users_return_404(ana, what):
    for id in (ana.id + 1, 0, 2**63 - 1, 2**63, '9' * 5000):
        for query in ('', '?after=', '?before=', '?after=x'):
            response = ana.get(f'/api/users/{id}/{what}{query}')
            assert (response.status_code, response.json) == (404, {'error': 'Not Found'})


def test_timelines_need_a_token(anonymous):
    for path in ('/api/posts', '/api/feed', '/api/users/1/posts', '/api/users/1/likes', '/api/posts/1/thread'):
        assert anonymous.get(path).status_code == 401


# Threads


def test_thread_runs_from_root_to_the_post(app, ana, bea):
    ids = []
    for n in range(30):
        ids.append(add_post(app, (ana, bea)[n % 2], f'post {n}', ids[-1] if ids else None))
        add_posts(app, ana.id, 1, 'noise', reply_to=ids[-1])
    for length in (1, 2, 15, 30):
        thread = ana.get(f'/api/posts/{ids[length - 1]}/thread?per_page=100').json
        assert ids_of(thread) == ids[:length]
    iterated = [id for page in iterate_to_end(ana, f'/api/posts/{ids[-1]}/thread?per_page=7') for id in ids_of(page)]
    assert iterated == ids
    assert bea.delete(f'/api/posts/{ids[9]}').status_code == 204
    assert ids_of(ana.get(f'/api/posts/{ids[-1]}/thread?per_page=100').json) == ids[10:]


def iterate_to_end(client, url):
    """Return the pages of a timeline in ascending order, whose `next` link is always present."""
    pages = []
    while not pages or pages[-1]['items']:
        pages.append(client.get(url).json)
        url = pages[-1]['_links']['next']
    return pages


# Feeds


def test_feed_has_own_and_followed_posts(app, ana, quick_login):
    others = [quick_login(f'user{n}') for n in range(4)]
    everyone = [ana, *others]
    followed = others[:2]
    add_follows(app, [(ana.id, user.id) for user in followed] + [(user.id, ana.id) for user in others])
    written = [(user.id, add_posts(app, user.id, 1)[0]) for _ in range(5) for user in everyone]
    wanted = {ana.id, *(user.id for user in followed)}
    expected = [id for author, id in written[::-1] if author in wanted]
    assert ids_of(ana.get('/api/feed?per_page=100').json) == expected
    assert [id for page in walk(ana, '/api/feed?per_page=4') for id in ids_of(page)] == expected


def test_feed_without_follows_has_own_posts(app, ana, bea):
    add_posts(app, bea.id, 3)
    assert ana.get('/api/feed').json['items'] == []
    ids = add_posts(app, ana.id, 3)
    assert ids_of(ana.get('/api/feed').json) == ids[::-1]


def test_feed_follows_changes_at_once(app, ana, bea):
    beas_posts, own = add_posts(app, bea.id, 3), add_posts(app, ana.id, 1)
    assert ids_of(ana.get('/api/feed').json) == own
    ana.put(f'/api/me/following/{bea.id}')
    assert ids_of(ana.get('/api/feed').json) == [*own, *beas_posts[::-1]]
    bea.delete(f'/api/posts/{beas_posts[1]}')
    assert ids_of(ana.get('/api/feed').json) == [*own, beas_posts[2], beas_posts[0]]
    ana.delete(f'/api/me/following/{bea.id}')
    assert ids_of(ana.get('/api/feed').json) == own
    add_follows(app, [(bea.id, ana.id)])
    assert ids_of(bea.get('/api/feed').json) == [*own, beas_posts[2], beas_posts[0]]
    remove_follow(app, bea.id, ana.id)
    assert ids_of(bea.get('/api/feed').json) == [beas_posts[2], beas_posts[0]]


def test_busy_author_does_not_hide_a_quiet_one(app, ana, bea, quick_login):
    carl = quick_login('carl')
    add_follows(app, [(ana.id, bea.id), (ana.id, carl.id)])
    ids = add_posts(app, carl.id, 1) + add_posts(app, bea.id, 30) + add_posts(app, carl.id, 1)
    ids += add_posts(app, bea.id, 30) + add_posts(app, ana.id, 1)
    for per_page in (1, 2, 3, 10, 100):
        iterated = [id for page in walk(ana, f'/api/feed?per_page={per_page}') for id in ids_of(page)]
        assert iterated == ids[::-1]
