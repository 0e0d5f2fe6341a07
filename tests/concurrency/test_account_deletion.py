"""Account deletion: immediate for clients, in bounded batches for the database, and without rows left behind."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, func, insert, select, text, update

from api.actions import account_deletion, jobs, likes
from api.actions.follows import follow_user, unfollow_user
from api.actions.likes import like_post, unlike_post
from api.actions.posts import create_post
from api.actions.rows import lock_user
from api.actions.tokens import create_personal_token, issue_token
from api.actions.users import update_account
from api.cli.counters import repair_counters
from api.clock import utcnow
from api.db.engine import autocommit_engine
from api.db.session import db
from api.errors import ApiError, UnauthorizedError
from api.jobs.handlers import run_next_job
from api.models import Job, Post, PostVersion, Token, User
from support import process_groups
from support.databases import delete_all_rows, dump_rows
from support.process_groups import wait_until
from support.servers import ROOT, Server
from tests.concurrency.test_storm import Kept, exact
from tests.support.client import PASSWORD, Client
from tests.support.rows import add_follows, add_likes, add_posts, add_users, log_in

TEST_BATCH_SIZE = 3
STEP_OF_A_WORKER = 50
KINDS = ('posts', 'likes', 'fans', 'replies', 'followers', 'following')
# Upper bounds of one batch, whatever the size of the account. The first batch includes the rest of its request.
MAX_STATEMENTS, MAX_ROWS = 40, 15 + 20 * TEST_BATCH_SIZE
LEAVERS, REQUESTS = 8, 40
SECONDS = 60
WORKER = ('-m', 'api.server.worker')
# A worker that runs additional code after each call of one function of a batch.
STOP_IN_THE_SECOND_STEP = "then.calls = getattr(then, 'calls', 0) + 1; time.sleep(3600 * (then.calls > 1))"
WORKER_THAT = """
import os, signal, time
from api.actions import account_deletion
from api.server.worker import main

account_deletion.BATCH_SIZE = {2}
part = account_deletion.{0}

def then(*arguments, **named):
    done = part(*arguments, **named)
    {1}
    return done

account_deletion.{0} = then
main()
"""


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_deletion, 'BATCH_SIZE', TEST_BATCH_SIZE)


@pytest.fixture
def steps_of_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the batch size of WORKER_THAT."""
    monkeypatch.setattr(account_deletion, 'BATCH_SIZE', STEP_OF_A_WORKER)


def delete_account(client: Client, password: str = PASSWORD, id: int | None = None) -> Any:
    return client.delete(f'/api/users/{id or client.id}', json={'password': password})


def wrong_counters(app: Flask) -> int:
    with app.app_context():
        wrong = repair_counters()
        db.session.rollback()
    return wrong


def read_value(app: Flask, statement: Any) -> Any:
    """Return a value, without waiting for writers."""
    with app.app_context(), autocommit_engine(db.engine).connect() as connection:
        return connection.scalar(statement)


def is_there(app: Flask, id: int) -> bool:
    return read_value(app, select(User.id).where(User.id == id)) is not None


def references(app: Flask, id: int) -> dict[str, int]:
    """Return how many rows of each table refer to a user."""
    with app.app_context():
        return {
            f'{table.name}.{key.parent.name}': found
            for table in db.metadata.sorted_tables
            for key in table.foreign_keys
            if key.references(User.__table__)
            and (found := db.session.scalar(select(func.count()).where(key.parent == id)))
        }


def count_rows(app: Flask) -> dict[str, int]:
    with app.app_context():
        tables = db.metadata.sorted_tables
        return {table.name: db.session.scalar(select(func.count()).select_from(table)) for table in tables}


def deliver_all(app: Flask, after: Callable[[], None] = lambda: None) -> int:
    """Run jobs, as the worker does, until none is due, and return their number."""
    for times in count():
        with app.app_context():
            if not run_next_job():
                return times
        after()
    raise AssertionError


def attempt(app: Flask, action: Callable[[], Any]) -> type[Exception] | None:
    """Run and commit an action, and return the type of its ApiError, or None if it succeeds."""
    with app.app_context():
        try:
            action()
            db.session.commit()
        except ApiError as error:
            return type(error)
    return None


# Permissions, and what is deleted


def test_deletion_requires_the_password(app: Flask, login: Any) -> None:
    ana = login('ana')
    refused = delete_account(ana, 'not the password')
    assert (refused.status_code, refused.json['message']) == (400, 'this is not your password')
    assert list(refused.json['errors']) == ['password']
    assert ana.delete(f'/api/users/{ana.id}').status_code == 415
    assert ana.delete(f'/api/users/{ana.id}', json={}).status_code == 400
    assert ana.delete(f'/api/users/{ana.id}', json={'password': None}).status_code == 400
    assert ana.get('/api/me').status_code == 200


def test_only_your_own_account_can_be_deleted(app: Flask, login: Any) -> None:
    ana, ben = login('ana'), login('ben')
    assert delete_account(ana, id=ben.id).status_code == 403
    assert delete_account(ana, id=999).status_code == 403
    assert (ana.get('/api/me').status_code, ben.get('/api/me').status_code) == (200, 200)


def test_deletion_requires_the_scope(app: Flask, login: Any) -> None:
    ana = login('ana')
    others = ['users:read', 'users:write', 'posts:write', 'tokens:manage', 'account:export']
    made = ana.post('/api/me/tokens', json={'name': 'program', 'scopes': others}).json
    refused = ana.delete(
        f'/api/users/{ana.id}', json={'password': PASSWORD}, headers={'Authorization': f'Bearer {made["token"]}'}
    )
    assert refused.status_code == 403
    assert is_there(app, ana.id)


def test_deletion_revokes_all_tokens(app: Flask, login: Any) -> None:
    ana, ben = login('ana'), login('ben')
    made = ana.post('/api/me/tokens', json={'name': 'program', 'scopes': ['users:read', 'account:manage']}).json
    assert delete_account(ana).status_code == 204
    for token in (ana.token, made['token']):
        assert ana.get('/api/me', headers={'Authorization': f'Bearer {token}'}).status_code == 401
    assert ana.ask_for_token('ana').status_code == 401
    assert ben.get(f'/api/users/{ana.id}').status_code == 404
    with app.app_context():
        assert db.session.scalars(select(Token.user_id)).all() == [ben.id]


def test_token_with_the_scope_deletes_the_account(app: Flask, login: Any) -> None:
    ana = login('ana')
    ana.token = ana.post('/api/me/tokens', json={'name': 'program', 'scopes': ['account:manage']}).json['token']
    assert delete_account(ana).status_code == 204
    assert not is_there(app, ana.id)


def test_username_and_email_become_available(app: Flask, make_user: Any, login: Any) -> None:
    ana = login('ana')
    assert delete_account(ana).status_code == 204
    assert make_user('ana')['id'] > ana.id


def make_account_data(ana: Client, ben: Client) -> tuple[int, int]:
    """Create rows of every kind for ana. Return the post of ben that ana replied to, and one that replies to ana."""
    parent = ben.post('/api/posts', json={'text': 'before'}).json['id']
    own = ana.post('/api/posts', json={'text': 'Quite so.', 'reply_to_id': parent}).json['id']
    reply = ben.post('/api/posts', json={'text': 'after', 'reply_to_id': own}).json['id']
    second = ana.post('/api/posts', json={'text': 'Yes.', 'reply_to_id': own}).json['id']
    ana.patch(f'/api/posts/{own}', data='{"text": "No."}', content_type='application/merge-patch+json')
    for client, post in ((ana, parent), (ana, own), (ben, own), (ben, second)):
        assert client.put(f'/api/posts/{post}/like').status_code == 204
    assert ana.put(f'/api/me/following/{ben.id}').status_code == 204
    assert ben.put(f'/api/me/following/{ana.id}').status_code == 204
    assert ana.post('/api/me/tokens', json={'name': 'program', 'scopes': ['users:read']}).status_code == 201
    assert ana.post('/api/email-verifications').status_code == 202
    return parent, reply


def test_deletion_leaves_no_rows(app: Flask, login: Any) -> None:
    ana, ben = login('anastasia'), login('ben')
    make_account_data(ana, ben)
    assert sorted(references(app, ana.id)) == [
        *('follows.followed_id', 'follows.follower_id', 'jobs.user_id'),
        *('likes.user_id', 'posts.author_id', 'tokens.user_id'),
    ]
    assert 'anastasia' in dump_rows(app)
    assert delete_account(ana).status_code == 204
    assert references(app, ana.id) == {}
    assert not is_there(app, ana.id)
    assert 'anastasia' not in dump_rows(app)
    rows = count_rows(app)
    assert (rows['posts'], rows['post_versions'], rows['likes'], rows['follows'], rows['jobs']) == (2, 0, 0, 0, 0)
    assert wrong_counters(app) == 0


def test_replies_of_others_stay_detached(app: Flask, login: Any) -> None:
    ana, ben = login('ana'), login('ben')
    parent, reply = make_account_data(ana, ben)
    assert delete_account(ana).status_code == 204
    left = ben.get(f'/api/posts/{reply}').json
    assert (left['text'], left['_links'].get('in_reply_to')) == ('after', None)
    before = ben.get(f'/api/posts/{parent}').json
    assert (before['like_count'], before['reply_count']) == (0, 0)
    you = ben.get('/api/me').json
    assert (you['post_count'], you['follower_count'], you['following_count']) == (2, 0, 0)


def test_failed_reset_jobs_are_deleted(app: Flask, login: Any) -> None:
    ana = login('anastasia')
    assert ana.post('/api/password-resets', json={'email': 'Anastasia@example.com'}).status_code == 202
    with app.app_context():
        message = jobs.claim_job()
        jobs.reschedule_job(message.id, attempts=1, error='SMTPRecipientsRefused', permanent=True)
        db.session.commit()
    assert delete_account(ana).status_code == 204
    assert 'anastasia' not in dump_rows(app).lower()


# Batches


def make_large(app: Flask, client: Client, others: list[int], sizes: dict[str, int]) -> None:
    """Give a user this much of each kind. Every third post replies to a post of others, every fourth to an own one."""
    others_posts = add_posts(app, others[0], sizes['likes'] + 1)
    own: list[int] = []
    for number in range(sizes['posts']):
        parent = others_posts[number % len(others_posts)] if number % 3 == 0 else own[-1] if number % 4 == 0 else None
        own += add_posts(app, client.id, 1, reply_to=parent)
    add_likes(app, [(client.id, post) for post in others_posts[: sizes['likes']]])
    if own:
        add_likes(app, [(fan, own[0]) for fan in [client.id, *others][: sizes['fans']]])
        for number in range(sizes['replies']):
            add_posts(app, others[number % len(others)], 1, reply_to=own[-1])
    followers = [(other, client.id) for other in others[: sizes['followers']]]
    following = [(client.id, other) for other in others[: sizes['following']]]
    if followers + following:
        add_follows(app, followers + following)


class Work:
    """The statements and rows since the last call of `take`."""

    def __init__(self, app: Flask):
        with app.app_context():
            self.engine = db.engine
        self.statements = self.rows = 0

    def record(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        self.statements += 1
        self.rows += max(cursor.rowcount, len(parameters) if many else 0, 0)

    def take(self) -> tuple[int, int]:
        taken = self.statements, self.rows
        self.statements = self.rows = 0
        return taken


@contextmanager
def counted(app: Flask) -> Iterator[Work]:
    work = Work(app)
    event.listen(work.engine, 'after_cursor_execute', work.record)
    yield work
    event.remove(work.engine, 'after_cursor_execute', work.record)


def check_steps(app: Flask, sizes: dict[str, int]) -> int:
    """Delete an account of these sizes, check all counters after each batch, and return the number of batches."""
    ana = log_in(app, 'anastasia')
    others = add_users(app, max(sizes.values()) + 1)
    make_large(app, ana, others, sizes)
    assert wrong_counters(app) == 0
    before = count_rows(app)
    with counted(app) as work:
        assert delete_account(ana).status_code == 204
        spent = [work.take()]

        def check() -> None:
            spent.append(work.take())
            assert wrong_counters(app) == 0
            work.take()

        steps = 1 + deliver_all(app, check)
    assert all(statements <= MAX_STATEMENTS for statements, _ in spent), spent
    assert all(rows <= MAX_ROWS for _, rows in spent), spent
    after = count_rows(app)
    assert references(app, ana.id) == {}
    assert 'anastasia' not in dump_rows(app)
    assert before['users'] - after['users'] == 1
    assert before['posts'] - after['posts'] == sizes['posts']
    assert (after['likes'], after['follows'], after['jobs']) == (0, 0, 0)
    return steps


@pytest.mark.usefixtures('small_steps')
@pytest.mark.parametrize('kind', [*KINDS, 'all'])
def test_large_account_is_deleted_in_batches(app: Flask, kind: str) -> None:
    number = 3 * TEST_BATCH_SIZE + 1
    sizes = {each: number if kind in (each, 'all') else 1 for each in KINDS}
    assert 3 <= check_steps(app, sizes) <= 8


@pytest.mark.usefixtures('small_steps')
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.fixed_dictionaries(
        {kind: st.sampled_from([0, TEST_BATCH_SIZE - 1, TEST_BATCH_SIZE, TEST_BATCH_SIZE + 1]) for kind in KINDS}
    )
)
@example(sizes=dict.fromkeys(KINDS, TEST_BATCH_SIZE - 1))
@example(sizes=dict.fromkeys(KINDS, TEST_BATCH_SIZE))
@example(sizes=dict.fromkeys(KINDS, TEST_BATCH_SIZE + 1))
def test_mixed_account_is_deleted_in_batches(app: Flask, sizes: dict[str, int]) -> None:
    try:
        assert check_steps(app, sizes) <= 4
    finally:
        delete_all_rows(app)


def test_deleting_twice_changes_nothing(app: Flask, login: Any) -> None:
    """Two workers, one of which was too slow, or a worker and an administrator, may delete the same account."""
    ana = login('ana')
    login('ben')
    assert delete_account(ana).status_code == 204
    with app.app_context():
        account_deletion.delete_batch(ana.id)
        db.session.commit()
    assert wrong_counters(app) == 0


# Killed workers


def make_posts(app: Flask, author: int, number: int) -> None:
    """Insert posts, every tenth of which was edited."""
    rows = [{'author_id': author, 'text': f'post {n}', 'created_at': utcnow()} for n in range(number)]
    with app.app_context():
        db.session.execute(insert(Post), rows)
        edited = select(Post.id, Post.text, Post.created_at).where(Post.author_id == author, Post.id % 10 == 0)
        db.session.execute(insert(PostVersion).from_select(['post_id', 'text', 'written_at'], edited))
        db.session.execute(update(User).where(User.id == author).values(post_count=User.post_count + number))
        db.session.execute(text('ANALYZE'))
        db.session.commit()


def posts_left(app: Flask, author: int) -> int:
    return int(read_value(app, select(func.count()).where(Post.author_id == author)))


def own_posts(app: Flask, author: int) -> list[int]:
    with app.app_context():
        return list(db.session.scalars(select(Post.id).where(Post.author_id == author)))


@contextmanager
def working(app: Flask, program: Sequence[str] = WORKER) -> Iterator[subprocess.Popen[bytes]]:
    """Start a real worker, yield its process, and kill it (SIGKILL) afterwards, whatever it does."""
    url = app.config['SQLALCHEMY_DATABASE_URI']
    environment = os.environ | {'ENVIRONMENT': 'development', 'DATABASE_URL': url, 'LOG_LEVEL': 'ERROR'}
    process = process_groups.start([sys.executable, *program], cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process_groups.kill(process)


def worker_that(part: str, then: str) -> Sequence[str]:
    """Return a program for `working`."""
    return ['-c', WORKER_THAT.format(part, then, STEP_OF_A_WORKER)]


def end_leases(app: Flask) -> None:
    with app.app_context():
        db.session.execute(update(Job).where(Job.due_at.is_not(None)).values(due_at=utcnow()))
        db.session.commit()


@pytest.mark.process
@pytest.mark.usefixtures('steps_of_a_worker')
def test_killed_worker_loses_nothing(app: Flask, login: Any) -> None:
    ana, ben = login('ana'), login('ben')
    make_posts(app, ana.id, 10 * account_deletion.BATCH_SIZE)
    assert ben.put(f'/api/me/following/{ana.id}').status_code == 204
    assert delete_account(ana).status_code == 204
    lefts = [posts_left(app, ana.id)]
    assert lefts == [9 * account_deletion.BATCH_SIZE]
    for _ in range(2):
        with working(app, worker_that('delete_posts', STOP_IN_THE_SECOND_STEP)):
            wait_until(lambda: posts_left(app, ana.id) < lefts[-1])
        assert wrong_counters(app) == 0
        lefts.append(posts_left(app, ana.id))
        assert count_rows(app)['jobs'] == 1
        end_leases(app)
    assert lefts[-1] > 0
    deliver_all(app)
    assert not is_there(app, ana.id)
    assert wrong_counters(app) == 0
    rows = count_rows(app)
    assert (rows['users'], rows['posts'], rows['post_versions'], rows['follows'], rows['jobs']) == (1, 0, 0, 0, 0)


@pytest.mark.process
@pytest.mark.usefixtures('steps_of_a_worker')
@pytest.mark.parametrize('what', ['delete_likes', 'delete_posts', 'delete_user'])
def test_worker_killed_in_a_batch_changes_nothing(app: Flask, login: Any, what: str) -> None:
    ana, ben = login('ana'), login('ben')
    make_posts(app, ana.id, account_deletion.BATCH_SIZE + 10)
    assert delete_account(ana).status_code == 204
    add_likes(app, [(ben.id, post) for post in own_posts(app, ana.id)])
    before = count_rows(app)
    with working(app, worker_that(what, 'os.kill(os.getpid(), signal.SIGKILL)')) as worker:
        assert worker.wait(SECONDS) == -signal.SIGKILL
    assert count_rows(app) == before
    assert wrong_counters(app) == 0
    end_leases(app)
    deliver_all(app)
    assert not is_there(app, ana.id)
    assert wrong_counters(app) == 0


# Concurrent requests


def test_concurrent_requests_of_the_user_fail(app: Flask, login: Any) -> None:
    ana, ben = login('ana'), login('ben')
    post = add_posts(app, ben.id, 1)[0]
    maker = token_of(app, ana.id)
    actions = {
        'write a post': lambda: create_post(actor=ana.id, text='still here'),
        'reply': lambda: create_post(actor=ana.id, text='still here', reply_to_id=post),
        'like': lambda: like_post(actor=ana.id, id=post),
        'follow': lambda: follow_user(actor=ana.id, id=ben.id),
        'change': lambda: update_account(actor=ana.id, may_change_email=True, about_me='still here'),
        'rename': lambda: update_account(actor=ana.id, may_change_email=True, username='ana2'),
        'move': lambda: update_account(actor=ana.id, may_change_email=True, email='still@example.com'),
        'make a token': lambda: create_personal_token(
            actor=ana.id,
            creator_token_id=maker,
            name='still',
            scopes=['users:read'],
            expires_in=timedelta(days=1),
        ),
        'issue a token': lambda: issue_token(actor=ana.id),
        'issue for a password': lambda: issue_token(actor=ana.id, credentials_version=0),
    }
    disable(app, ana.id)
    expected = dict.fromkeys(actions, UnauthorizedError)
    before = dump_rows(app)
    assert {name: attempt(app, action) for name, action in actions.items()} == expected
    assert dump_rows(app) == before
    with app.app_context():
        assert account_deletion.delete_batch(ana.id)
        db.session.commit()
    before = dump_rows(app)
    assert {name: attempt(app, action) for name, action in actions.items()} == expected
    assert dump_rows(app) == before
    assert wrong_counters(app) == 0


def token_of(app: Flask, user: int) -> int:
    with app.app_context():
        return db.session.scalars(select(Token.id).where(Token.user_id == user)).one()


def disable(app: Flask, user: int) -> None:
    with app.app_context():
        assert account_deletion.disable_account(user)
        db.session.commit()


def start_waiting(action: Callable[[], Any]) -> threading.Thread:
    """Start an action, in a thread, that waits for the locks held here."""
    thread = threading.Thread(target=action)
    thread.start()
    thread.join(0.5)  # it now waits for a lock or has finished
    return thread


def test_no_token_survives_concurrent_deletion(app: Flask, login: Any) -> None:
    ana = login('ana')
    maker = token_of(app, ana.id)
    with app.app_context():
        create_personal_token(
            actor=ana.id,
            creator_token_id=maker,
            name='late',
            scopes=['users:read'],
            expires_in=timedelta(days=1),
        )
        disabling = start_waiting(lambda: disable(app, ana.id))
        db.session.commit()
    disabling.join()
    assert count_rows(app)['tokens'] == 0


def test_token_issue_does_not_deadlock_with_deletion(app: Flask, login: Any) -> None:
    """The order of locks is that of `issue_token`: the user first, then the expired tokens."""
    ana = login('ana')
    with exact(app):
        with app.app_context():
            lock_user(ana.id)
            disabling = start_waiting(lambda: disable(app, ana.id))
            db.session.execute(delete(Token).where(Token.user_id == ana.id))
            db.session.commit()
        disabling.join()
    with app.app_context():
        assert db.session.scalar(select(User.disabled_at)) is not None


def test_like_does_not_deadlock_with_deletion(app: Flask, login: Any) -> None:
    """The order of locks is that of `like_post`: the post first, then the user."""
    ana = login('ana')
    post = add_posts(app, ana.id, 1)[0]
    responses: list[int] = []
    with exact(app):
        with app.app_context():
            likes.lock_post(post)
            deleting = start_waiting(lambda: responses.append(delete_account(ana).status_code))
            lock_user(ana.id)
            db.session.commit()
        deleting.join()
        deliver_all(app)
    assert responses == [204]
    assert not is_there(app, ana.id)


def test_follow_does_not_deadlock_with_deletion(app: Flask, login: Any) -> None:
    """The order of locks is that of `follow_user`: the user with the lower id first."""
    ben, ana = login('ben'), login('ana')
    add_follows(app, [(ben.id, ana.id)])
    responses: list[int] = []
    with exact(app):
        with app.app_context():
            lock_user(ben.id)
            deleting = start_waiting(lambda: responses.append(delete_account(ana).status_code))
            lock_user(ana.id)
            db.session.commit()
        deleting.join()
        deliver_all(app)
    assert responses == [204]
    assert not is_there(app, ana.id)


def test_two_mutual_repliers_delete_at_once(app: Flask, login: Any) -> None:
    for round in range(5):
        users = [login(f'ana{round}'), login(f'ben{round}'), login(f'cleo{round}')]
        posts = [add_posts(app, user.id, 5) for user in users]
        for user, liked in zip(users, posts[1:] + posts[:1], strict=True):
            add_likes(app, [(user.id, post) for post in liked])
            add_posts(app, user.id, 1, reply_to=liked[0])
        add_follows(app, [(one.id, other.id) for one in users for other in users if one is not other])
        with exact(app):
            with ThreadPoolExecutor(len(users)) as pool:
                assert [response.status_code for response in pool.map(delete_account, users)] == [204] * len(users)
            deliver_all(app)
        assert count_rows(app)['users'] == 0


@pytest.fixture
def between(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return `between(model, action)`: run an action after a batch selects rows and before it locks those of the model.

    On SQLite the action does not run, as there is a single writer.
    """

    def arrange(model: Any, action: Callable[[], Any]) -> None:
        lock = account_deletion.lock_rows

        def act_first(locked: Any, wanted: Any) -> None:
            if locked is model and db.engine.dialect.name != 'sqlite':
                with ThreadPoolExecutor(1) as pool:
                    assert pool.submit(attempt, app, action).result(SECONDS) in (None, ApiError)
            lock(locked, wanted)

        monkeypatch.setattr(account_deletion, 'lock_rows', act_first)

    return arrange


@pytest.mark.parametrize(
    ('model', 'what'),
    [
        *((Post, what) for what in ('follow', 'unfollow', 'like', 'unlike', 'reply')),
        *((User, what) for what in ('follow', 'unfollow')),  # the posts are locked by then
    ],
)
def test_changes_between_select_and_lock_are_handled(
    app: Flask, login: Any, between: Any, model: Any, what: str
) -> None:
    ana, ben, cleo = login('ana'), login('ben'), login('cleo')
    first, second = add_posts(app, ana.id, 2)
    add_likes(app, [(ben.id, first)])
    add_follows(app, [(ben.id, ana.id)])
    disable(app, ana.id)
    acts = {
        'follow': lambda: follow_user(actor=cleo.id, id=ana.id),
        'unfollow': lambda: unfollow_user(actor=ben.id, id=ana.id),
        'like': lambda: like_post(actor=cleo.id, id=second),
        'unlike': lambda: unlike_post(actor=ben.id, id=first),
        'reply': lambda: create_post(actor=cleo.id, text='wait', reply_to_id=second),
    }
    between(model, acts[what])
    with app.app_context():
        if not account_deletion.delete_batch(ana.id):
            jobs.enqueue(jobs.DELETE_ACCOUNT, user_id=ana.id)
        db.session.commit()
    assert wrong_counters(app) == 0
    deliver_all(app)
    assert wrong_counters(app) == 0
    assert not is_there(app, ana.id)


# Load


class DeletionStorm:
    """Users who like, follow and reply until they delete their accounts, and others who keep their accounts."""

    def __init__(self, server: Server, leavers: list[Client], others: list[Client], posts: list[int]):
        self.server, self.leavers, self.others, self.posts = server, leavers, others, posts

    def request(self, chance: random.Random) -> tuple[str, str, Any]:
        # Batches delete the first posts of a user first, and many requests choose those.
        post = chance.choice(self.posts)
        user = chance.choice(self.leavers + self.others).id
        return chance.choice(
            [
                ('PUT', f'/api/posts/{post}/like', None),
                ('DELETE', f'/api/posts/{post}/like', None),
                ('POST', '/api/posts', {'text': 'so you say', 'reply_to_id': post}),
                ('DELETE', f'/api/posts/{post}', None),
                ('PUT', f'/api/me/following/{user}', None),
                ('DELETE', f'/api/me/following/{user}', None),
            ]
        )

    def act(self, client: Client, number: int, requests: int, deletes_account: bool) -> Counter[tuple[str, int]]:
        chance = random.Random(f'{client.id} {number}')
        responses: Counter[tuple[str, int]] = Counter()
        with closing(Kept(self.server, client.token)) as kept:
            for index in range(requests):
                if deletes_account and index == requests // 2:
                    status, _ = kept.ask('DELETE', f'/api/users/{client.id}', {'password': PASSWORD})
                    responses['LEAVE', status] += 1
                method, path, body = self.request(chance)
                status, _ = kept.ask(method, path, body)
                responses[method, status] += 1
                if deletes_account and index > requests // 2:
                    assert status == 401
        return responses


@pytest.mark.process
def test_storm_of_account_deletions(app: Flask, server: Server, login: Any) -> None:
    leavers = [login(f'leaver{number}') for number in range(LEAVERS)]
    others = [login(f'other{number}') for number in range(4)]
    for leaver in leavers[::2]:
        make_posts(app, leaver.id, account_deletion.BATCH_SIZE + 100)
    posts = []
    for client in leavers + others:
        posts += add_posts(app, client.id, 4)
    storm = DeletionStorm(server, leavers, others, posts)
    with exact(app), working(app):
        with ThreadPoolExecutor(2 * LEAVERS + 4) as pool:
            acts = [pool.submit(storm.act, client, 0, REQUESTS, True) for client in leavers]
            acts += [pool.submit(storm.act, client, 1, REQUESTS, False) for client in leavers]
            acts += [pool.submit(storm.act, client, 2, 2 * REQUESTS, False) for client in others]
            responses = sum((act.result() for act in acts), Counter())
        wait_until(lambda: not any(is_there(app, leaver.id) for leaver in leavers))
    assert responses['LEAVE', 204] == LEAVERS
    assert all(references(app, leaver.id) == {} for leaver in leavers)
    assert 'leaver' not in dump_rows(app)
    assert {status for _, status in responses} <= {201, 204, 400, 401, 403, 404}
    assert responses['PUT', 401] > 0
    assert responses['PUT', 204] > 50
    assert responses['POST', 201] > 20
