"""Tests of collections: pages by number, iteration by cursor, and totals."""

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest

from support.databases import dump_rows
from tests.support.client import PASSWORD, Client
from tests.support.rows import add_follows, add_users, remove_follow, remove_user

MEMBERS = ['id', 'username', 'last_seen', 'about_me', 'post_count', 'follower_count', 'following_count', '_links']
CURSOR = '[A-Za-z0-9_-]+'


class Filled(NamedTuple):
    """A collection with known items, whose ids are in the documented order."""

    client: Client
    path: str
    ids: list[int]

    def get(self, query=''):
        response = self.client.get(self.path + query)
        assert response.status_code == 200, response.text
        return response.json

    def page(self, number, per_page):
        return self.get(f'?page={number}&per_page={per_page}')

    def link(self, page, per_page):
        """Return a link with page and per_page only."""
        return f'{self.path}?page={page}&per_page={per_page}'


def users(app, client, number):
    return '/api/users', [client.id, *add_users(app, number - 1)]


def followers(app, client, number):
    ids = add_users(app, number)
    add_follows(app, [(id, client.id) for id in ids])
    return f'/api/users/{client.id}/followers', ids[::-1]


def following(app, client, number):
    ids = add_users(app, number)
    add_follows(app, [(client.id, id) for id in ids])
    return f'/api/users/{client.id}/following', ids[::-1]


@pytest.fixture(params=[users, followers, following], ids=lambda kind: kind.__name__)
def fill(request, app, quick_login) -> Callable[[int], Filled]:
    """Return a function that creates a collection of a given size, of users, followers or followed users."""

    def make(number):
        client = quick_login('ana')
        return Filled(client, *request.param(app, client, number))

    return make


@pytest.fixture
def few(app, quick_login) -> Filled:
    """Return a collection of 25 users."""
    client = quick_login('ana')
    return Filled(client, *users(app, client, 25))


def ids_of(page):
    return [item['id'] for item in page['items']]


def walk(client, url, relation='next'):
    """Return the pages from this URL on, following one kind of link."""
    pages = []
    while url:
        pages.append(client.get(url).json)
        url = pages[-1]['_links'][relation]
    return pages


def all_ids(pages):
    return [id for page in pages for id in ids_of(page)]


# Pages by number


def test_page_has_items_meta_and_links_in_order(fill):
    page = fill(3).get()
    assert list(page) == ['items', '_meta', '_links']
    assert list(page['_meta']) == ['page', 'per_page', 'total_pages', 'total_items']
    assert list(page['_links']) == ['self', 'next', 'prev']
    assert [list(item) for item in page['items']] == [MEMBERS] * 3


def test_items_equal_their_self_links(fill):
    filled = fill(3)
    items = filled.get()['items']
    assert items
    for item in items:
        shown = filled.client.get(item['_links']['self']).json
        own = {'email', 'email_verified'} & shown.keys()
        assert len(own) in (0, 2)
        assert {name: value for name, value in shown.items() if name not in own} == item


@pytest.mark.parametrize(
    ('page', 'first', 'last', 'next_page', 'prev_page'),
    [(1, 0, 10, 2, None), (2, 10, 20, 3, 1), (3, 20, 25, None, 2), (4, 25, 25, None, 3), (9, 25, 25, None, 3)],
    ids=['first', 'middle', 'last', 'past the last', 'far past the last'],
)
def test_meta_and_links_are_literal(fill, page, first, last, next_page, prev_page):
    filled = fill(25)
    response = filled.get(f'?page={page}')
    assert ids_of(response) == filled.ids[first:last]
    assert response['_meta'] == {'page': page, 'per_page': 10, 'total_pages': 3, 'total_items': 25}
    assert response['_links'] == {
        'self': filled.link(page, 10),
        'next': next_page and filled.link(next_page, 10),
        'prev': prev_page and filled.link(prev_page, 10),
    }


def test_default_is_page_1_of_10_items(fill):
    filled = fill(12)
    assert filled.get() == filled.page(1, 10)
    assert filled.get('?page=2') == filled.page(2, 10)
    assert filled.get('?per_page=5') == filled.page(1, 5)


def test_full_last_page_has_no_next(few):
    assert few.page(5, 5)['_links'] == {'self': few.link(5, 5), 'next': None, 'prev': few.link(4, 5)}
    assert few.page(1, 25)['_links'] == {'self': few.link(1, 25), 'next': None, 'prev': None}
    assert few.page(1, 25)['_meta'] == {'page': 1, 'per_page': 25, 'total_pages': 1, 'total_items': 25}


@pytest.mark.parametrize('what', ['followers', 'following'])
def test_empty_collection_has_no_pages(quick_login, what):
    ana = quick_login('ana')
    path = f'/api/users/{ana.id}/{what}'
    for page in (1, 7):
        assert ana.get(f'{path}?page={page}').json == {
            'items': [],
            '_meta': {'page': page, 'per_page': 10, 'total_pages': 0, 'total_items': 0},
            '_links': {'self': f'{path}?page={page}&per_page=10', 'next': None, 'prev': None},
        }


@pytest.mark.parametrize('what', ['followers', 'following'])
@pytest.mark.parametrize('query', ['?after=', '?before=', '?after=&page=3'])
def test_iterating_an_empty_collection_ends(quick_login, what, query):
    ana = quick_login('ana')
    page = ana.get(f'/api/users/{ana.id}/{what}{query}').json
    assert (page['items'], page['_meta']['total_pages']) == ([], 0)
    assert (page['_links']['next'], page['_links']['prev']) == (None, None)


def test_newest_follow_comes_first(app, quick_login):
    ana = quick_login('ana')
    ids = add_users(app, 4)
    shuffled = [ids[2], ids[0], ids[3], ids[1]]
    add_follows(app, [(id, ana.id) for id in shuffled] + [(ana.id, id) for id in shuffled[::-1]])
    assert ids_of(ana.get(f'/api/users/{ana.id}/followers').json) == shuffled[::-1]
    assert ids_of(ana.get(f'/api/users/{ana.id}/following').json) == shuffled
    assert ids_of(ana.get('/api/users').json) == [ana.id, *ids]


def test_collections_of_users_do_not_mix(app, quick_login):
    ana, bea = quick_login('ana'), quick_login('bea')
    ids = add_users(app, 2)
    add_follows(app, [(ids[0], ana.id), (ids[1], bea.id), (ana.id, bea.id)])
    found = {
        (client, what): ids_of(ana.get(f'/api/users/{client}/{what}').json)
        for client in (ana.id, bea.id)
        for what in ('followers', 'following')
    }
    assert found == {
        (ana.id, 'followers'): [ids[0]],
        (ana.id, 'following'): [bea.id],
        (bea.id, 'followers'): [ana.id, ids[1]],
        (bea.id, 'following'): [],
    }


@pytest.mark.parametrize('path', ['/api/users', '/api/users/1/followers', '/api/users/1/following'])
def test_collections_need_a_token(anonymous, path):
    assert anonymous.get(path).status_code == 401


# Unusual numbers

NO_NUMBERS = ['', ' ', 'abc', '1e3', '2.5', '1_0', '0x10', 'null', 'NaN', 'Infinity', '--1', '1 2', '1,2', '%00', '%FF']
NO_NUMBERS += ['\N{ARABIC-INDIC DIGIT THREE}', '\N{SUPERSCRIPT TWO}', '\N{FULLWIDTH DIGIT TWO}']
HUGE = ['9' * 22, '9' * 5000, '18446744073709551617']


@pytest.mark.parametrize(
    ('sent', 'page'),
    [
        *[(text, 1) for text in NO_NUMBERS],
        *[(number, 1) for number in ('0', '-1', '-5', '-0', '-' + '9' * 22, '-' + '9' * 5000)],
        *[(number, 3) for number in ('3', ' 3 ', '%203%20', '003', '0' * 5000 + '3')],
    ],
)
def test_odd_page_is_clamped_or_default(few, sent, page):
    response = few.get(f'?page={sent}&per_page=5')
    assert response == few.page(page, 5)
    assert response['_meta']['page'] == page


@pytest.mark.parametrize('sent', HUGE)
def test_huge_page_is_past_the_end(few, sent):
    response = few.get(f'?page={sent}&per_page=5')
    assert response['items'] == []
    assert response['_links'] == {
        'self': few.link(response['_meta']['page'], 5),
        'next': None,
        'prev': few.link(5, 5),
    }
    assert few.get(response['_links']['self'].removeprefix(few.path)) == response


@pytest.mark.parametrize(
    ('sent', 'per_page'),
    [
        *[(text, 10) for text in NO_NUMBERS],
        *[(number, 1) for number in ('0', '-1', '-5', '-0', '1', '-' + '9' * 22, '-' + '9' * 5000)],
        *[(number, 3) for number in ('3', ' 3 ', '%203%20', '003', '0' * 5000 + '3')],
        *[(number, 100) for number in ('100', '101', '1000', *HUGE)],
        ('99', 99),
    ],
)
def test_odd_per_page_is_clamped_or_default(few, sent, per_page):
    response = few.get(f'?per_page={sent}')
    assert response == few.page(1, per_page)
    assert response['_meta'] == {
        'page': 1,
        'per_page': per_page,
        'total_pages': -(-25 // per_page),
        'total_items': 25,
    }
    assert len(response['items']) == min(per_page, 25)


def test_repeated_parameter_counts_once(few):
    response = few.get('?page=2&page=3&per_page=5&per_page=4')
    page, per_page = response['_meta']['page'], response['_meta']['per_page']
    assert page in (2, 3)
    assert per_page in (4, 5)
    assert response == few.page(page, per_page)


def test_unknown_parameters_are_ignored(few):
    assert few.get('?page=2&sort=email&unknown=%00') == few.page(2, 10)


def test_per_page_is_capped_at_100(fill):
    filled = fill(101)
    response = filled.get('?per_page=1000')
    assert ids_of(response) == filled.ids[:100]
    assert response['_links']['next'] == filled.link(2, 100)


# Deep pages


def is_link(link, filled, page, per_page, cursor):
    """Return whether a link has page, per_page and this cursor parameter, in this order."""
    pattern = re.escape(filled.link(page, per_page)) + f'&{cursor}=' + CURSOR
    return re.fullmatch(pattern, link) is not None


@pytest.fixture
def many(fill) -> Filled:
    return fill(1201)


def test_deep_links_carry_cursors(many):
    for per_page, last_shallow in ((100, 10), (10, 100), (7, 143), (1, 1000)):
        shallow, deep = many.page(last_shallow, per_page), many.page(last_shallow + 1, per_page)
        assert shallow['_links'] == {
            'self': many.link(last_shallow, per_page),
            'next': many.link(last_shallow + 1, per_page),
            'prev': many.link(last_shallow - 1, per_page),
        }
        assert deep['_links']['self'] == many.link(last_shallow + 1, per_page)
        assert is_link(deep['_links']['next'], many, last_shallow + 2, per_page, 'after')
        assert is_link(deep['_links']['prev'], many, last_shallow, per_page, 'before')


def test_jump_to_a_deep_page_equals_iteration(many):
    jumped = [many.page(number, 100) for number in range(1, 14)]
    iterated = walk(many.client, many.link(1, 100))
    assert all_ids(iterated) == all_ids(jumped) == many.ids
    assert [page['_meta'] for page in iterated] == [page['_meta'] for page in jumped]
    assert jumped[12]['_links']['next'] is None
    assert jumped[10]['_meta'] == {'page': 11, 'per_page': 100, 'total_pages': 13, 'total_items': 1201}


def test_prev_from_the_end_gives_the_same_pages(many):
    forward = walk(many.client, many.link(1, 100))
    backward = walk(many.client, many.link(13, 100), 'prev')
    assert [ids_of(page) for page in backward] == [ids_of(page) for page in forward[::-1]]
    assert [page['_meta']['page'] for page in backward] == list(range(13, 0, -1))


def test_past_a_deep_end_prev_leads_to_the_last_page(many):
    for number in (14, 99):
        response = many.page(number, 100)
        assert (response['items'], response['_links']['next']) == ([], None)
        assert response['_links']['prev'].startswith(many.link(13, 100))
        assert ids_of(many.client.get(response['_links']['prev']).json) == many.ids[1200:]


# Iteration


def test_forward_and_backward_iteration_agree(fill):
    filled = fill(25)
    pages = walk(filled.client, f'{filled.path}?per_page=7&after=')
    assert [ids_of(page) for page in pages] == [filled.ids[start : start + 7] for start in (0, 7, 14, 21)]
    assert [page['_meta']['page'] for page in pages] == [1, 2, 3, 4]
    assert [page['_links']['self'] for page in pages] == [filled.link(number, 7) for number in (1, 2, 3, 4)]
    for number, page in enumerate(pages[:-1], 1):
        assert is_link(page['_links']['next'], filled, number + 1, 7, 'after')
    for number, page in enumerate(pages[1:], 2):
        assert is_link(page['_links']['prev'], filled, number - 1, 7, 'before')
    assert (pages[0]['_links']['prev'], pages[-1]['_links']['next']) == (None, None)

    backward = walk(filled.client, pages[-1]['_links']['prev'], 'prev')
    assert [ids_of(page) for page in backward] == [ids_of(page) for page in pages[-2::-1]]
    assert [page['_meta']['page'] for page in backward] == [3, 2, 1]
    assert walk(filled.client, backward[-1]['_links']['next']) == pages[1:]


def test_cursor_overrides_page_number(fill):
    filled = fill(25)
    second = filled.get('?per_page=7&after=')['_links']['next']
    elsewhere = filled.client.get(second.replace('page=2', 'page=9', 1)).json
    assert ids_of(elsewhere) == filled.ids[7:14]
    assert elsewhere['_meta']['page'] == 9
    assert is_link(elsewhere['_links']['next'], filled, 10, 7, 'after')
    assert ids_of(filled.get('?per_page=7&page=9&after=')) == filled.ids[:7]


def test_per_page_may_change_while_iterating(few):
    second = few.get('?per_page=7&after=')['_links']['next']
    assert ids_of(few.client.get(second.replace('per_page=7', 'per_page=3')).json) == few.ids[7:10]


def test_empty_before_starts_at_the_end(fill):
    filled = fill(25)
    last = filled.get('?page=4&per_page=7&before=')
    assert ids_of(last) == filled.ids[-7:]
    assert last['_links']['next'] is None
    assert is_link(last['_links']['prev'], filled, 3, 7, 'before')
    pages = walk(filled.client, f'{filled.path}?page=4&per_page=7&before=', 'prev')
    assert [id for page in pages[::-1] for id in ids_of(page)] == filled.ids


def remover(app, filled):
    """Return a function that removes an item from the collection."""
    owner, what = filled.client.id, filled.path.rpartition('/')[2]
    return {
        'users': lambda item: remove_user(app, item),
        'followers': lambda item: remove_follow(app, item, owner),
        'following': lambda item: remove_follow(app, owner, item),
    }[what]


def adder(app, filled):
    """Return a function that adds a new item to the collection."""
    owner, what = filled.client.id, filled.path.rpartition('/')[2]

    def add(name):
        (id,) = add_users(app, 1, name)
        if what != 'users':
            add_follows(app, [(id, owner) if what == 'followers' else (owner, id)])

    return add


def test_iteration_sees_stable_items_exactly_once(app, fill):
    filled = fill(30)
    remove, add = remover(app, filled), adder(app, filled)
    # Indexes of removed items: the last one of a page, others that were seen, and some that were not.
    removed = {4, 9, 14, 3, 7, 18, 27}
    steps = iter([(4, 18), (9, 3), (14, 27), (7,)])
    url, seen = f'{filled.path}?per_page=5&after=', []
    while url:
        page = filled.client.get(url).json
        seen += ids_of(page)
        for place in next(steps, ()):
            remove(filled.ids[place])
        add(f'late{len(seen)}-')
        url = page['_links']['next'] if len(seen) < 100 else None
    staying = [id for place, id in enumerate(filled.ids) if place not in removed]
    assert len(seen) == len(set(seen))
    assert [id for id in seen if id in staying] == staying
    assert filled.ids[18] not in seen
    assert filled.ids[27] not in seen


def test_iteration_continues_after_a_deleted_item(app, fill):
    filled = fill(6)
    remove = remover(app, filled)
    first = filled.get('?per_page=3&after=')
    second = filled.client.get(first['_links']['next']).json
    for place in (2, 3):
        remove(filled.ids[place])
    assert ids_of(filled.client.get(first['_links']['next']).json) == filled.ids[4:]
    assert ids_of(filled.client.get(second['_links']['prev']).json) == filled.ids[:2]


def test_prev_leads_back_from_an_empty_page(app, fill):
    filled = fill(6)
    remove = remover(app, filled)
    first = filled.get('?per_page=3&after=')
    for place in (3, 4, 5):
        remove(filled.ids[place])
    end = filled.client.get(first['_links']['next']).json
    assert (end['items'], end['_links']['next'], end['_meta']['total_items']) == ([], None, 3)
    assert ids_of(filled.client.get(end['_links']['prev']).json) == filled.ids[:3]


# Invalid cursors


def position_in(link):
    return re.search('(?:after|before)=(.*)', link)[1]


def refused(response):
    return (
        response.status_code == 400 and list(response.json) == ['error', 'message'] and bool(response.json['message'])
    )


@pytest.mark.parametrize('parameter', ['after', 'before'])
@pytest.mark.parametrize(
    'text',
    [
        '0',
        '5',
        'null',
        'undefined',
        'abc',
        'AAAAAAAAAAAAAAAAAAAAAA',
        'A' * 5000,
        '=',
        '==',
        '====',
        '%00',
        '%FF',
        ' ',
        '\N{ARABIC-INDIC DIGIT THREE}',
        '9' * 22,
        '-1',
        "'",
    ],
)
def test_random_cursor_is_rejected(few, parameter, text):
    assert refused(few.client.get(f'{few.path}?{parameter}={text}'))


def test_altered_cursor_is_rejected(few):
    cursor = position_in(few.get('?per_page=7&after=')['_links']['next'])
    assert not refused(few.client.get(f'{few.path}?after={cursor}'))
    alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    altered = {
        cursor[:-1],
        cursor[1:],
        f'{cursor}A',
        f'A{cursor}',
        f'{cursor}=',
        f'{cursor}==',
        cursor * 2,
    }
    altered |= {cursor[:4], cursor[:11], cursor[11:], cursor.swapcase(), f' {cursor}', f'{cursor}%0A'}
    for place, old in enumerate(cursor):
        altered.add(cursor[:place] + ('A' if old != 'A' else 'B') + cursor[place + 1 :])
    altered |= {cursor[:-1] + letter for letter in alphabet if letter != cursor[-1]}
    assert [text for text in altered if not refused(few.client.get(f'{few.path}?after={text}'))] == []
    assert [text for text in altered if not refused(few.client.get(f'{few.path}?before={text}'))] == []


def test_cursor_has_one_spelling(app, quick_login):
    ana = quick_login('ana')
    add_users(app, 99)
    accepted = []
    for page in walk(ana, '/api/users?per_page=1&after=')[:-1]:
        cursor = position_in(page['_links']['next'])
        other = cursor.replace('-', '%2B').replace('_', '%2F')
        if other != cursor and not refused(ana.get(f'/api/users?after={other}')):
            accepted.append(other)
    assert accepted == []


def test_cursor_of_another_collection_is_rejected(app, quick_login):
    ana, bea = quick_login('ana'), quick_login('bea')
    ids = add_users(app, 20)
    paths = [
        '/api/users',
        *[f'/api/users/{user.id}/{what}' for user in (ana, bea) for what in ('followers', 'following')],
    ]
    for user in (ana, bea):
        add_follows(app, [(id, user.id) for id in ids] + [(user.id, id) for id in ids])
    cursors = {path: position_in(ana.get(f'{path}?after=').json['_links']['next']) for path in paths}
    for path in paths:
        for other, cursor in cursors.items():
            for parameter in ('after', 'before'):
                assert refused(ana.get(f'{path}?{parameter}={cursor}')) == (path != other)


def test_cursor_keys_rotate(few, load_keys):
    url = few.get('?per_page=7&after=')['_links']['next']
    load_keys('k' * 32)
    assert refused(few.client.get(url))
    load_keys('k' * 32, ('a-sample-key-for-development-only',))
    assert ids_of(few.client.get(url).json) == few.ids[7:14]


# Totals


def test_totals_are_exact_after_registrations(app, quick_login, anonymous, make_user):
    ana = quick_login('ana')
    for number in range(2, 13):
        make_user(f'user{number}')
        meta = ana.get('/api/users?per_page=5').json['_meta']
        assert meta == {'page': 1, 'per_page': 5, 'total_pages': -(-number // 5), 'total_items': number}
    before = dump_rows(app)
    taken = {'username': 'ANA', 'email': 'new@example.com', 'password': PASSWORD}
    assert anonymous.post('/api/users', json=taken).status_code == 400
    assert anonymous.post('/api/users', json={}).status_code == 400
    assert dump_rows(app) == before
    assert ana.get('/api/users').json['_meta']['total_items'] == 12
    assert len(ana.get('/api/users?per_page=100').json['items']) == 12


def test_follower_totals_are_exact(app, quick_login):
    ana = quick_login('ana')
    ids = add_users(app, 12)
    add_follows(app, [(id, ana.id) for id in ids])
    assert ana.get(f'/api/users/{ana.id}/followers').json['_meta']['total_items'] == 12
    remove_follow(app, ids[0], ana.id)
    meta = ana.get(f'/api/users/{ana.id}/followers').json['_meta']
    assert (meta['total_items'], meta['total_pages']) == (11, 2)
    assert ana.get(f'/api/users/{ana.id}').json['follower_count'] == 11
