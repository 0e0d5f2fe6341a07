"""Tests of the statements of a request: their number and their columns."""

import re
from datetime import timedelta

import pytest

from api.clock import utcnow
from tests.support.client import PASSWORD
from tests.support.rows import OLD_TIMESTAMP, add_follows, add_likes, add_posts, add_users, log_in, set_last_seen

COLUMNS = {'id', 'username', 'email', 'last_seen', 'about_me', 'post_count', 'follower_count', 'following_count'}
CALLER = {'id', 'username', 'email', 'email_verified', 'credentials_version', 'last_seen', 'last_write_at', 'token_id'}
CALLER |= {'scopes', 'used_scopes', 'last_used_at'}
MERGE_PATCH = 'application/merge-patch+json'


@pytest.fixture
def statements_of(count_queries):
    """Return a function that returns the statements of a successful request: `statements_of(lambda: ana.get(url))`."""

    def statements(request):
        with count_queries() as sent:
            response = request()
        assert response.status_code < 300, response.text
        return sent

    return statements


def writes(statements):
    return [text for text in statements if not text.startswith('SELECT')]


def columns_of(statement):
    """Return the names of the columns of a SELECT."""
    flat = re.sub(r'\(SELECT [^()]*(\([^()]*\)[^()]*)*\)', 'x', statement)
    columns = re.match(r'SELECT (.*?)\s+FROM ', flat, re.DOTALL)[1]
    return {re.split(r'\.| AS ', column.strip())[-1] for column in columns.split(',')}


def commands(statements):
    return [text.split()[0] for text in statements]


# One user


def test_another_user_takes_one_statement(app, ana, statements_of):
    ids = add_users(app, 2)
    for id in ids:
        (sent,) = statements_of(lambda path=f'/api/users/{id}': ana.get(path))
        assert columns_of(sent) == CALLER | {f'{column}_1' for column in COLUMNS & CALLER} | COLUMNS | {'is_there'}


def test_own_user_takes_two_statements(ana, statements_of):
    sent = statements_of(lambda: ana.get(f'/api/users/{ana.id}'))
    assert commands(sent) == ['SELECT', 'SELECT']
    assert columns_of(sent[1]) == COLUMNS | {'own_email', 'own_email_verified'}


def test_sparse_user_takes_as_many_statements(app, ana, statements_of):
    (id,) = add_users(app, 1)
    sent = statements_of(lambda: ana.get(f'/api/users/{id}?fields=username'))
    assert columns_of(sent[1]) == {'username'}


def test_unknown_user_takes_one_statement(ana, count_queries):
    with count_queries() as sent:
        assert ana.get('/api/users/1000000').status_code == 404
    assert len(sent) == 1


def test_head_takes_as_many_statements_as_get(app, ana, statements_of):
    (id,) = add_users(app, 1)
    assert len(statements_of(lambda: ana.head(f'/api/users/{id}'))) == 1
    assert len(statements_of(lambda: ana.head('/api/users'))) == 2


# Pages


@pytest.fixture(params=['users', 'followers', 'following'])
def path(request, app, ana):
    """Return the path of a collection of at least 1,200 items."""
    ids = add_users(app, 1200)
    if request.param == 'users':
        return '/api/users'
    pairs = [(id, ana.id) if request.param == 'followers' else (ana.id, id) for id in ids]
    add_follows(app, pairs)
    return f'/api/users/{ana.id}/{request.param}'


def test_page_takes_two_statements(ana, path, statements_of):
    for query in ('', '?per_page=1', '?per_page=100', '?per_page=1&page=1100', '?page=110', '?per_page=100&page=12'):
        sent = statements_of(lambda query=query: ana.get(path + query))
        assert commands(sent) == ['SELECT'] * 2, query
        caller, rows = (columns_of(text) for text in sent)
        assert caller == CALLER
        assert rows == COLUMNS | {'cursor', 'total'}


@pytest.mark.parametrize('per_page', [1, 10, 100])
def test_cursor_page_takes_two_statements(ana, path, statements_of, per_page):
    deep = ana.get(f'{path}?per_page={per_page}&page={1100 // per_page}').json['_links']
    for url in (
        f'{path}?per_page={per_page}&after=',
        f'{path}?per_page={per_page}&before=',
        deep['next'],
        deep['prev'],
    ):
        sent = statements_of(lambda url=url: ana.get(url))
        assert commands(sent) == ['SELECT'] * 2, url
        assert columns_of(sent[1]) == COLUMNS | {'cursor', 'total'}
        assert bool(re.search(r'\.id [<>] ', sent[1])) == (url in deep.values())
        assert not re.search(r'OFFSET (?!0|\?)', sent[1])


def test_page_past_the_end_scans_no_rows(ana, statements_of):
    _, rows, total = statements_of(lambda: ana.get('/api/users?page=1000000000&per_page=100'))
    assert re.search(r'(?s)WHERE \(SELECT table_counts\.row_count.*\) > .*OFFSET', rows)
    assert columns_of(total) == {'row_count'}


# Last seen


@pytest.mark.parametrize(
    'path', ['/api/users', '/api/users/{id}', '/api/users/{id}/followers', '/api/users/{id}/following']
)
def test_last_seen_is_written_once_a_minute(app, ana, statements_of, path):
    def send():
        return statements_of(lambda: ana.get(path.format(id=ana.id)))

    usual = send()
    assert writes(usual) == []
    for seen in (None, OLD_TIMESTAMP, utcnow() - timedelta(seconds=61)):
        set_last_seen(app, ana.id, seen)
        sent = send()
        assert len(sent) == len(usual) + 1
        assert [text.split(' WHERE')[0].split('=')[0] for text in writes(sent)] == ['UPDATE users SET last_seen']
        assert send() == usual
    set_last_seen(app, ana.id, utcnow() - timedelta(seconds=30))
    assert send() == usual


# Writes


def test_registration_takes_four_statements(anonymous, statements_of):
    sent = {'username': 'bea', 'email': 'bea@example.com', 'password': PASSWORD}
    statements = statements_of(lambda: anonymous.post('/api/users', json=sent))
    assert commands(statements) == ['INSERT', 'INSERT', 'UPDATE', 'SELECT']
    assert statements[1].startswith('INSERT INTO jobs ')
    assert statements[2].startswith('UPDATE table_counts ')
    assert columns_of(statements[3]) == COLUMNS


def test_new_token_takes_five_statements_reuse_three(app, anonymous, statements_of):
    log_in(app, 'ana').delete('/api/tokens')
    first = statements_of(lambda: anonymous.ask_for_token('ana'))
    again = statements_of(lambda: anonymous.ask_for_token('ana'))
    assert commands(first) == ['SELECT', 'SELECT', 'SELECT', 'DELETE', 'INSERT']
    assert commands(again) == ['SELECT', 'SELECT', 'SELECT']
    columns = {'id', 'username', 'email', 'password_hash', 'credentials_version', 'disabled_at'}
    assert columns_of(again[0]) == columns | {'last_seen', 'last_write_at'}


def test_later_login_takes_one_more_statement(app, anonymous, statements_of):
    ana = log_in(app, 'ana')
    set_last_seen(app, ana.id, None)
    assert commands(statements_of(lambda: anonymous.ask_for_token('ana'))) == ['SELECT', 'UPDATE', 'SELECT', 'SELECT']


def test_revocation_takes_two_statements(ana, statements_of):
    assert commands(statements_of(lambda: ana.delete('/api/tokens'))) == ['SELECT', 'DELETE']


@pytest.mark.parametrize(('method', 'mimetype'), [('PUT', 'application/json'), ('PATCH', MERGE_PATCH)])
def test_account_update_statement_counts(ana, statements_of, method, mimetype):
    def send(data):
        url = f'/api/users/{ana.id}'
        return statements_of(lambda: ana.open(url, method=method, data=data, content_type=mimetype))

    some = send(b'{"username": "Ana", "about_me": "x"}')
    assert commands(some) == ['SELECT', 'UPDATE', 'SELECT']
    assert columns_of(some[2]) == COLUMNS | {'email_verified'}
    assert 'SET username' in some[1]
    everything = send(b'{"username": "Ana", "email": "ana@example.org", "about_me": "y"}')
    assert commands(everything) == ['SELECT', 'SELECT', 'INSERT', 'INSERT', 'UPDATE', 'SELECT']
    assert commands(send(b'{"email": "Ana@example.org"}')) == ['SELECT', 'SELECT', 'UPDATE', 'SELECT']
    assert commands(send(b'{}')) == ['SELECT', 'SELECT']


def test_rejected_credentials_take_no_more_statements(ana, anonymous, count_queries):
    with count_queries() as sent:
        assert anonymous.get('/api/users').status_code == 401
        assert anonymous.post('/api/users', json={}).status_code == 400
        assert anonymous.post('/api/tokens').status_code == 401
        assert anonymous.get('/api/nothing').status_code == 404
    assert sent == []
    with count_queries() as sent:
        assert ana.put('/api/users/0', json={}).status_code == 403
        assert ana.put(f'/api/users/{ana.id}', json={'about_me': 5}).status_code == 400
    assert commands(sent) == ['SELECT', 'SELECT']


# Columns


def test_only_login_reads_the_password_hash(app, ana, anonymous, count_queries):
    bea = {'username': 'bea', 'email': 'bea@example.com', 'password': PASSWORD}
    url = f'/api/users/{ana.id}'
    with count_queries() as sent:
        responses = [
            ana.get(path) for path in ('/api/users', url, f'{url}/followers', f'{url}/following', '/api/users?after=')
        ]
        responses += [ana.put(url, json={'about_me': 'x'}), anonymous.post('/api/users', json=bea)]
        responses += [anonymous.ask_for_token('ana'), ana.delete('/api/tokens')]
    assert [response.status_code for response in responses] == [200, 200, 200, 200, 200, 200, 201, 200, 204]
    holding = [text for text in sent if 'password_hash' in text]
    assert [text.split()[:2] for text in holding] == [['INSERT', 'INTO'], ['SELECT', 'users.id,']]
    reads = [text for text in sent if text.startswith('SELECT')]
    assert [text for text in reads if 'created_at' in text or '*' in text] == []


# Posts and timelines


POST_COLUMNS = {'id', 'text', 'created_at', 'edited_at', 'like_count', 'reply_count', 'author_id', 'reply_to_id'}


@pytest.fixture
def post(app, ana, bea):
    """Return the id of a post by ana, who follows bea. It has likes, earlier versions and 120 replies by bea."""
    (id,) = add_posts(app, ana.id, 1)
    replies = add_posts(app, bea.id, 120, reply_to=id)
    add_likes(app, [(ana.id, reply) for reply in replies] + [(ana.id, id), (bea.id, id)])
    add_follows(app, [(ana.id, bea.id)])
    for text in ('second', 'third'):
        assert ana.put(f'/api/posts/{id}', json={'text': text}).status_code == 200
    return id


# The path, and whether the collection always exists. The others need another statement if they have no items.
TIMELINES = [
    ('/api/posts', True),
    ('/api/feed', True),
    ('/api/users/{bea}/posts', False),
    ('/api/users/{ana}/likes', False),
    ('/api/posts/{post}/replies', False),
    ('/api/posts/{post}/thread', False),
    ('/api/posts/{post}/history', False),
    ('/api/posts/{post}/likes', False),
]


def test_post_takes_two_statements(ana, bea, post, statements_of):
    for client in (ana, bea):
        sent = statements_of(lambda client=client: client.get(f'/api/posts/{post}'))
        assert commands(sent) == ['SELECT'] * 2
        assert 'password_hash' not in sent[1]
        assert all(column in sent[1] for column in POST_COLUMNS)


@pytest.mark.parametrize(('path', 'always'), TIMELINES)
def test_timeline_page_statements_are_constant(ana, bea, post, statements_of, path, always):
    url = path.format(ana=ana.id, bea=bea.id, post=post)
    for per_page in (1, 10, 100):
        first = f'{url}?per_page={per_page}'
        links = ana.get(first).json['_links']
        for page_url in (first, f'{first}&after=', f'{first}&before=', links['next'], links['prev']):
            if page_url:
                sent = statements_of(lambda page_url=page_url: ana.get(page_url))
                assert set(commands(sent)) <= {'SELECT', 'WITH'}, page_url
                assert len(sent) == (2 if always or ana.get(page_url).json['items'] else 3), page_url
                assert 'password_hash' not in ''.join(sent)


def test_new_post_takes_at_most_four_statements(ana, post, statements_of):
    for body, cost in (({'text': 'x'}, 3), ({'text': 'x', 'reply_to_id': post}, 4)):
        sent = statements_of(lambda body=body: ana.post('/api/posts', json=body))
        assert len(sent) == cost
        assert commands(writes(sent))[-1] == 'INSERT'


def test_statement_counts_of_other_writes(app, ana, bea, post, statements_of):
    """Check the statement counts of other writes, so that none grows unnoticed. They are no promise to clients.

    In each pair of requests, the first changes something and the second does not.
    """
    (other,) = add_users(app, 1)
    like, follow, url = f'/api/posts/{post}/like', f'/api/me/following/{other}', f'/api/posts/{post}'
    add_posts(app, ana.id, 1)
    ana.delete(like)
    costs = [
        (lambda: ana.put(like), 5),
        (lambda: ana.put(like), 4),
        (lambda: ana.get(like), 2),
        (lambda: ana.delete(like), 4),
        (lambda: ana.delete(like), 3),
        (lambda: ana.put(follow), 5),
        (lambda: ana.put(follow), 3),
        (lambda: ana.get(follow), 2),
        (lambda: ana.delete(follow), 5),
        (lambda: ana.delete(follow), 3),
        (lambda: ana.put(url, json={'text': 'fourth'}), 6),
        (lambda: ana.put(url, json={'text': 'fourth'}), 4),
        (lambda: ana.get('/api/me'), 2),
        (lambda: ana.get(f'/api/me/relationships?id={other}&id={bea.id}'), 2),
        (lambda: ana.get('/api/users?username=bea'), 2),
        (lambda: ana.delete(url), 6),
    ]
    costly = [
        (place, len(sent), cost)
        for place, (request, cost) in enumerate(costs)
        if len(sent := statements_of(request)) > cost
    ]
    assert costly == []
