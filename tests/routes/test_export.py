"""Tests of the account export: complete, without data of other users, and with bounded memory and connections."""

import http.client
import json
import os
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from jsonschema_rs import ValidationError
from sqlalchemy import insert, text, update

from api.clock import utcnow
from api.db.session import db
from api.http import export
from api.models import Post, User
from api.schemas.export import EXPORT_SCHEMAS
from support.servers import start_server
from tests.support.rows import add_follows, add_likes, add_posts, add_users

TEST_BATCH_SIZE = 3
MANY = 16_000
# Limit for the export of MANY posts, which has 12 MB. Holding all of it in memory, as rows and as lines, takes more.
MAX_MEGABYTES = 8


@pytest.fixture
def few_rows_at_a_time(monkeypatch):
    monkeypatch.setattr(export, 'BATCH_SIZE', TEST_BATCH_SIZE)


def lines_of(client, **options):
    """Return the objects of an export. Each must match the document."""
    response = client.get('/api/me/export', **options)
    assert response.status_code == 200
    assert response.headers['Content-Type'] == 'application/jsonl'
    assert response.data.endswith(b'\n')
    lines = [json.loads(line) for line in response.data.splitlines()]
    for line in lines:
        check(client.document, line)
    return lines


def check(document, line):
    name = EXPORT_SCHEMAS[line['kind']].__name__.removesuffix('Schema')
    for reference, part in (('ExportLine', line), (name, line['data'])):
        document.validator(f'#/components/schemas/{reference}').validate(part)


def of_kind(lines, kind):
    return [line['data'] for line in lines if line['kind'] == kind]


def edit(client, post, new_text):
    response = client.patch(
        f'/api/posts/{post}', data=json.dumps({'text': new_text}), content_type='application/merge-patch+json'
    )
    assert response.status_code == 200


def make_token(client, *scopes):
    response = client.post('/api/me/tokens', json={'name': 'program', 'scopes': list(scopes)})
    assert response.status_code == 201
    return response.json


def items(client, url):
    return client.get(url).json['items']


def test_export_of_a_new_user_is_the_user(quick_login):
    ana = quick_login('ana')
    (line,) = lines_of(ana)
    assert line == {'kind': 'user', 'data': ana.get('/api/me').json}
    assert line['data']['email'] == 'ana@example.com'


def test_exported_rows_equal_their_resources(app, quick_login):
    ana, ben, cleo = quick_login('ana'), quick_login('ben'), quick_login('cleo')
    add_follows(app, [(ana.id, ben.id), (ana.id, cleo.id), (ben.id, ana.id)])
    bens_posts = add_posts(app, ben.id, 2, 'of ben')
    own = add_posts(app, ana.id, 2) + add_posts(app, ana.id, 1, reply_to=bens_posts[0])
    edit(ana, own[1], 'second thoughts')
    edit(ana, own[1], 'third thoughts')
    add_likes(app, [(ana.id, bens_posts[1]), (ana.id, own[0]), (ben.id, own[0])])
    make_token(ana, 'users:read')
    lines = lines_of(ana)
    assert of_kind(lines, 'user') == [ana.get('/api/me').json]
    assert of_kind(lines, 'token') == items(ana, '/api/me/tokens')
    assert of_kind(lines, 'following') == items(ana, f'/api/users/{ana.id}/following')
    assert of_kind(lines, 'follower') == items(ana, f'/api/users/{ana.id}/followers')
    assert of_kind(lines, 'post') == items(ana, f'/api/users/{ana.id}/posts')
    assert of_kind(lines, 'like') == items(ana, f'/api/users/{ana.id}/likes')
    assert of_kind(lines, 'post_version') == items(ana, f'/api/posts/{own[1]}/history')
    kinds = Counter(line['kind'] for line in lines)
    assert kinds == {'user': 1, 'token': 1, 'following': 2, 'follower': 1, 'post': 3, 'post_version': 2, 'like': 2}


def test_versions_follow_their_post(app, quick_login):
    ana = quick_login('ana')
    posts = add_posts(app, ana.id, 3)
    for post, new_text in ((posts[2], 'c'), (posts[0], 'a'), (posts[2], 'cc')):
        edit(ana, post, new_text)
    lines = [line for line in lines_of(ana) if line['kind'] in ('post', 'post_version')]
    assert [(line['kind'], line['data']['text']) for line in lines] == [
        ('post', 'cc'),
        ('post_version', 'c'),
        ('post_version', 'post 2'),
        ('post', 'post 1'),
        ('post', 'a'),
        ('post_version', 'post 0'),
    ]


def test_export_reveals_nothing_about_others(app, quick_login):
    ana, ben, cleo = quick_login('ana'), quick_login('ben'), quick_login('cleo')
    add_follows(app, [(ana.id, ben.id), (ben.id, ana.id), (ben.id, cleo.id)])
    posts = add_posts(app, ben.id, 2, 'of ben')
    edit(ben, posts[0], 'changed by ben')
    add_likes(app, [(ana.id, posts[0]), (ben.id, posts[1])])
    add_posts(app, cleo.id, 1, 'of cleo')
    token = make_token(ben, 'users:read')['token']
    content = ana.get('/api/me/export').text
    assert 'changed by ben' in content
    hidden = ['ben@example.com', 'cleo', 'of ben', token, ben.token, 'password', 'argon2', 'digest', 'seed']
    assert not [secret for secret in hidden if secret in content]
    assert ana.token not in content


@pytest.mark.usefixtures('few_rows_at_a_time')
@pytest.mark.parametrize('number', [TEST_BATCH_SIZE - 1, TEST_BATCH_SIZE, TEST_BATCH_SIZE + 1, 3 * TEST_BATCH_SIZE + 1])
def test_export_is_complete_for_any_size(app, quick_login, number):
    ana = quick_login('ana')
    others = add_users(app, number)
    add_follows(app, [(other, ana.id) for other in others] + [(ana.id, other) for other in others])
    liked_posts = add_posts(app, others[0], number)
    own = add_posts(app, ana.id, number)
    for version in range(number):
        edit(ana, own[-1], f'version {version}')
    add_likes(app, [(ana.id, post) for post in liked_posts])
    tokens = [make_token(ana, 'users:read')['id'] for _ in range(number)]
    lines = lines_of(ana)
    ids = {kind: [data['id'] for data in of_kind(lines, kind)] for kind in EXPORT_SCHEMAS if kind != 'post_version'}
    newest_first = {'token': tokens, 'following': others, 'follower': others, 'post': own, 'like': liked_posts}
    assert ids == {'user': [ana.id]} | {kind: expected[::-1] for kind, expected in newest_first.items()}
    texts = [data['text'] for data in of_kind(lines, 'post_version')]
    assert texts == [f'version {version}' for version in reversed(range(number - 1))] + [f'post {number - 1}']


@pytest.mark.usefixtures('few_rows_at_a_time')
def test_export_reads_in_batches(app, quick_login, count_queries):
    ana = quick_login('ana')
    add_posts(app, ana.id, 2 * TEST_BATCH_SIZE)
    with count_queries() as statements:
        lines_of(ana)
    assert sum('WHERE posts.author_id = ' in statement for statement in statements) >= 3


def test_export_line_check_is_strict(quick_login):
    ana = quick_login('ana')
    (line,) = lines_of(ana)
    for wrong in ({'kind': 'other'}, {'more': 1}, {'data': line['data'] | {'more': 1}}):
        with pytest.raises((ValidationError, KeyError)):
            check(ana.document, line | wrong)


def test_head_equals_get(quick_login):
    ana = quick_login('ana')
    get, head = ana.get('/api/me/export'), ana.head('/api/me/export')
    assert (head.status_code, head.data) == (200, b'')
    assert head.headers['Content-Type'] == get.headers['Content-Type']
    assert head.headers['Cache-Control'] == get.headers['Cache-Control'] == 'no-store'


def test_export_needs_the_scope(quick_login, anonymous):
    ana = quick_login('ana')
    others = ['users:read', 'posts:read', 'tokens:manage', 'account:manage']
    without, with_it = make_token(ana, *others)['token'], make_token(ana, 'account:export')['token']
    rejected = ana.get('/api/me/export', headers={'Authorization': f'Bearer {without}'})
    assert rejected.status_code == 403
    assert 'account:export' in rejected.headers['WWW-Authenticate']
    assert anonymous.get('/api/me/export').status_code == 401
    assert len(lines_of(ana, headers={'Authorization': f'Bearer {with_it}'})) == 3


@pytest.mark.usefixtures('few_rows_at_a_time')
def test_slow_reader_holds_no_connection(app, quick_login):
    ana = quick_login('ana')
    add_posts(app, ana.id, 4 * TEST_BATCH_SIZE)
    with app.app_context():
        pool = db.engine.pool
    response = ana.application.test_client().get(
        '/api/me/export', headers={'Authorization': f'Bearer {ana.token}'}, buffered=False
    )
    taken = []
    for _ in response.response:
        taken.append(pool.checkedout())
    response.close()
    assert len(taken) == 1 + 4 * TEST_BATCH_SIZE
    assert set(taken) == {0}


def test_aborted_export_leaves_no_connection(app, quick_login):
    ana = quick_login('ana')
    add_posts(app, ana.id, 5)
    with app.app_context():
        pool = db.engine.pool
    response = app.test_client().get('/api/me/export', headers={'Authorization': f'Bearer {ana.token}'}, buffered=False)
    assert next(iter(response.response))
    response.close()
    assert pool.checkedout() == 0


def add_many_posts(app, author):
    rows = [{'author_id': author, 'text': f'{"la " * 80}{n}', 'created_at': utcnow()} for n in range(MANY)]
    with app.app_context():
        db.session.execute(insert(Post), rows)
        db.session.execute(update(User).where(User.id == author).values(post_count=MANY))
        db.session.execute(text('ANALYZE'))
        db.session.commit()


def megabytes_of(pid, what):
    lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f'{what}:'))


@pytest.mark.process
@pytest.mark.skipif(not os.path.exists('/proc/self/clear_refs'), reason='needs the memory statistics of Linux')
def test_large_export_uses_bounded_memory(app, quick_login, settings):
    ana = quick_login('ana')
    add_many_posts(app, ana.id)
    headers = {'Authorization': f'Bearer {ana.token}'}
    with start_server(settings.database_url) as server:
        server.ask('GET', '/api/me', **headers)
        main = server.process.pid
        children = Path(f'/proc/{main}/task/{main}/children').read_text().split()
        worker = max(children, key=lambda pid: megabytes_of(pid, 'VmRSS'))
        before = megabytes_of(worker, 'VmRSS')
        Path(f'/proc/{worker}/clear_refs').write_text('5')  # resets VmHWM, the peak memory
        with closing(http.client.HTTPConnection('127.0.0.1', server.port, timeout=120)) as connection:
            connection.request('GET', '/api/me/export', headers=headers)
            response = connection.getresponse()
            lines = sum(chunk.count(b'\n') for chunk in iter(lambda: response.read(64 * 1024), b''))
        assert lines == MANY + 1
        assert megabytes_of(worker, 'VmHWM') - before < MAX_MEGABYTES
