"""How accounts end: at once for whoever calls, in bounded steps for the database, and with nothing left over."""

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

from api.actions import leaving, likes, outbox
from api.actions.follows import follow_user, unfollow_user
from api.actions.likes import like_post, unlike_post
from api.actions.posts import write_post
from api.actions.rows import lock_user
from api.actions.tokens import issue_token, make_personal_token
from api.actions.users import change_account
from api.cli.data import recount
from api.clock import utcnow
from api.database import reader_of
from api.deliveries import deliver_next
from api.errors import ApiError, UnauthorizedError
from api.extensions import db
from api.models import Message, Post, PostVersion, Token, User
from tests import processes
from tests.conftest import PASSWORD, Client
from tests.contract.test_storm import Kept, exact
from tests.databases import dump, empty
from tests.processes import wait_until
from tests.routes.rows import add_follows, add_likes, add_posts, add_users, log_in
from tests.servers import ROOT, Server

STEP = 3
STEP_OF_A_WORKER = 50
KINDS = ('posts', 'likes', 'fans', 'replies', 'followers', 'following')
# What one step asks of the database, however much there is; the first with all that a request does.
MOST_STATEMENTS, MOST_ROWS = 40, 15 + 20 * STEP
LEAVERS, REQUESTS = 8, 40
SECONDS = 60
WORKER = ('-m', 'api.worker')
# A worker that does something else, too, whenever it has done a part of a step.
STOP_IN_THE_SECOND_STEP = "then.calls = getattr(then, 'calls', 0) + 1; time.sleep(3600 * (then.calls > 1))"
WORKER_THAT = """
import os, signal, time
from api.actions import leaving
from api.worker import main

leaving.STEP = {2}
part = leaving.{0}

def then(*arguments, **named):
    done = part(*arguments, **named)
    {1}
    return done

leaving.{0} = then
main()
"""


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, 'STEP', STEP)


@pytest.fixture
def steps_of_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps as large as those of WORKER_THAT."""
    monkeypatch.setattr(leaving, 'STEP', STEP_OF_A_WORKER)


def leave(client: Client, password: str = PASSWORD, id: int | None = None) -> Any:
    return client.delete(f'/api/users/{id or client.id}', json={'password': password})


def wrong_counters(app: Flask) -> int:
    with app.app_context():
        wrong = recount()
        db.session.rollback()
    return wrong


def look(app: Flask, statement: Any) -> Any:
    """A value, without waiting for whoever writes."""
    with app.app_context(), reader_of(db.engine).connect() as connection:
        return connection.scalar(statement)


def is_there(app: Flask, id: int) -> bool:
    return look(app, select(User.id).where(User.id == id)) is not None


def references(app: Flask, id: int) -> dict[str, int]:
    """How many rows of each table refer to a user."""
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
    """Does what the worker does until nothing is due; how often."""
    for times in count():
        with app.app_context():
            if not deliver_next():
                return times
        after()
    raise AssertionError


def attempt(app: Flask, action: Callable[[], Any]) -> type[Exception] | None:
    """What an action raises, whose transaction is committed where it raises nothing."""
    with app.app_context():
        try:
            action()
            db.session.commit()
        except ApiError as error:
            return type(error)
    return None


# Who may, and what is gone


def test_only_with_the_password(app: Flask, login: Any) -> None:
    ana = login('ana')
    refused = leave(ana, 'not the password')
    assert (refused.status_code, refused.json['message']) == (400, 'this is not your password')
    assert list(refused.json['errors']) == ['password']
    assert ana.delete(f'/api/users/{ana.id}').status_code == 415
    assert ana.delete(f'/api/users/{ana.id}', json={}).status_code == 400
    assert ana.delete(f'/api/users/{ana.id}', json={'password': None}).status_code == 400
    assert ana.get('/api/me').status_code == 200


def test_only_your_own(app: Flask, login: Any) -> None:
    ana, ben = login('ana'), login('ben')
    assert leave(ana, id=ben.id).status_code == 403
    assert leave(ana, id=999).status_code == 403
    assert (ana.get('/api/me').status_code, ben.get('/api/me').status_code) == (200, 200)


def test_only_with_the_scope(app: Flask, login: Any) -> None:
    ana = login('ana')
    others = ['users:read', 'users:write', 'posts:write', 'tokens:manage', 'account:export']
    made = ana.post('/api/me/tokens', json={'name': 'program', 'scopes': others}).json
    refused = ana.delete(
        f'/api/users/{ana.id}', json={'password': PASSWORD}, headers={'Authorization': f'Bearer {made["token"]}'}
    )
    assert refused.status_code == 403
    assert is_there(app, ana.id)


def test_every_token_ends_at_once(app: Flask, login: Any) -> None:
    ana, ben = login('ana'), login('ben')
    made = ana.post('/api/me/tokens', json={'name': 'program', 'scopes': ['users:read', 'account:manage']}).json
    assert leave(ana).status_code == 204
    for token in (ana.token, made['token']):
        assert ana.get('/api/me', headers={'Authorization': f'Bearer {token}'}).status_code == 401
    assert ana.ask_for_token('ana').status_code == 401
    assert ben.get(f'/api/users/{ana.id}').status_code == 404
    with app.app_context():
        assert db.session.scalars(select(Token.user_id)).all() == [ben.id]


def test_a_token_with_the_scope_is_enough(app: Flask, login: Any) -> None:
    ana = login('ana')
    ana.token = ana.post('/api/me/tokens', json={'name': 'program', 'scopes': ['account:manage']}).json['token']
    assert leave(ana).status_code == 204
    assert not is_there(app, ana.id)


def test_name_and_address_are_free_again(app: Flask, make_user: Any, login: Any) -> None:
    ana = login('ana')
    assert leave(ana).status_code == 204
    assert make_user('ana')['id'] > ana.id


def make_a_life(ana: Client, ben: Client) -> tuple[int, int]:
    """Everything that somebody can have. A post of ben's that ana answered, and one that answers ana."""
    parent = ben.post('/api/posts', json={'text': 'before'}).json['id']
    own = ana.post('/api/posts', json={'text': 'Quite so.', 'reply_to_id': parent}).json['id']
    reply = ben.post('/api/posts', json={'text': 'after', 'reply_to_id': own}).json['id']
    answered = ana.post('/api/posts', json={'text': 'Yes.', 'reply_to_id': own}).json['id']
    ana.patch(f'/api/posts/{own}', data='{"text": "No."}', content_type='application/merge-patch+json')
    for client, post in ((ana, parent), (ana, own), (ben, own), (ben, answered)):
        assert client.put(f'/api/posts/{post}/like').status_code == 204
    assert ana.put(f'/api/me/following/{ben.id}').status_code == 204
    assert ben.put(f'/api/me/following/{ana.id}').status_code == 204
    assert ana.post('/api/me/tokens', json={'name': 'program', 'scopes': ['users:read']}).status_code == 201
    assert ana.post('/api/email-verifications').status_code == 202
    return parent, reply


def test_nothing_of_theirs_is_left(app: Flask, login: Any) -> None:
    ana, ben = login('anastasia'), login('ben')
    make_a_life(ana, ben)
    assert sorted(references(app, ana.id)) == [
        *('follows.followed_id', 'follows.follower_id', 'likes.user_id'),
        *('outbox.user_id', 'posts.author_id', 'tokens.user_id'),
    ]
    assert 'anastasia' in dump(app)
    assert leave(ana).status_code == 204
    assert references(app, ana.id) == {}
    assert not is_there(app, ana.id)
    assert 'anastasia' not in dump(app)
    rows = count_rows(app)
    assert (rows['posts'], rows['post_versions'], rows['likes'], rows['follows'], rows['outbox']) == (2, 0, 0, 0, 0)
    assert wrong_counters(app) == 0


def test_replies_of_others_stay_and_answer_nothing(app: Flask, login: Any) -> None:
    ana, ben = login('ana'), login('ben')
    parent, reply = make_a_life(ana, ben)
    assert leave(ana).status_code == 204
    left = ben.get(f'/api/posts/{reply}').json
    assert (left['text'], left['_links'].get('in_reply_to')) == ('after', None)
    before = ben.get(f'/api/posts/{parent}').json
    assert (before['like_count'], before['reply_count']) == (0, 0)
    you = ben.get('/api/me').json
    assert (you['post_count'], you['follower_count'], you['following_count']) == (2, 0, 0)


def test_an_address_that_a_reset_was_given_up_for_goes_too(app: Flask, login: Any) -> None:
    ana = login('anastasia')
    assert ana.post('/api/password-resets', json={'email': 'Anastasia@example.com'}).status_code == 202
    with app.app_context():
        message = outbox.claim_message()
        outbox.postpone_message(message.id, attempts=1, error='SMTPRecipientsRefused', final=True)
        db.session.commit()
    assert leave(ana).status_code == 204
    assert 'anastasia' not in dump(app).lower()


# In steps


def make_large(app: Flask, client: Client, others: list[int], sizes: dict[str, int]) -> None:
    """Gives a user as much of each kind. Of the posts every third answers one of others, every fourth one of theirs."""
    theirs = add_posts(app, others[0], sizes['likes'] + 1)
    own: list[int] = []
    for number in range(sizes['posts']):
        answered = theirs[number % len(theirs)] if number % 3 == 0 else own[-1] if number % 4 == 0 else None
        own += add_posts(app, client.id, 1, reply_to=answered)
    add_likes(app, [(client.id, post) for post in theirs[: sizes['likes']]])
    if own:
        add_likes(app, [(fan, own[0]) for fan in [client.id, *others][: sizes['fans']]])
        for number in range(sizes['replies']):
            add_posts(app, others[number % len(others)], 1, reply_to=own[-1])
    followers = [(other, client.id) for other in others[: sizes['followers']]]
    following = [(client.id, other) for other in others[: sizes['following']]]
    if followers + following:
        add_follows(app, followers + following)


class Work:
    """What was asked of the database since the last look."""

    def __init__(self, app: Flask):
        with app.app_context():
            self.engine = db.engine
        self.statements = self.rows = 0

    def note(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        self.statements += 1
        self.rows += max(cursor.rowcount, len(parameters) if many else 0, 0)

    def take(self) -> tuple[int, int]:
        taken = self.statements, self.rows
        self.statements = self.rows = 0
        return taken


@contextmanager
def counted(app: Flask) -> Iterator[Work]:
    work = Work(app)
    event.listen(work.engine, 'after_cursor_execute', work.note)
    yield work
    event.remove(work.engine, 'after_cursor_execute', work.note)


def check_steps(app: Flask, sizes: dict[str, int]) -> int:
    """Lets a user with so much leave; after each step every counter is exact. How many steps it took."""
    ana = log_in(app, 'anastasia')
    others = add_users(app, max(sizes.values()) + 1)
    make_large(app, ana, others, sizes)
    assert wrong_counters(app) == 0
    before = count_rows(app)
    with counted(app) as work:
        assert leave(ana).status_code == 204
        spent = [work.take()]

        def check() -> None:
            spent.append(work.take())
            assert wrong_counters(app) == 0
            work.take()

        steps = 1 + deliver_all(app, check)
    assert all(statements <= MOST_STATEMENTS for statements, _ in spent), spent
    assert all(rows <= MOST_ROWS for _, rows in spent), spent
    after = count_rows(app)
    assert references(app, ana.id) == {}
    assert 'anastasia' not in dump(app)
    assert before['users'] - after['users'] == 1
    assert before['posts'] - after['posts'] == sizes['posts']
    assert (after['likes'], after['follows'], after['outbox']) == (0, 0, 0)
    return steps


@pytest.mark.usefixtures('small_steps')
@pytest.mark.parametrize('kind', [*KINDS, 'all'])
def test_a_large_account_goes_in_steps(app: Flask, kind: str) -> None:
    number = 3 * STEP + 1
    sizes = {each: number if kind in (each, 'all') else 1 for each in KINDS}
    assert 3 <= check_steps(app, sizes) <= 8


@pytest.mark.usefixtures('small_steps')
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.fixed_dictionaries({kind: st.sampled_from([0, STEP - 1, STEP, STEP + 1]) for kind in KINDS}))
@example(sizes=dict.fromkeys(KINDS, STEP - 1))
@example(sizes=dict.fromkeys(KINDS, STEP))
@example(sizes=dict.fromkeys(KINDS, STEP + 1))
def test_whatever_mixture_it_is(app: Flask, sizes: dict[str, int]) -> None:
    try:
        assert check_steps(app, sizes) <= 4
    finally:
        empty(app)


def test_what_was_closed_and_is_gone_already_changes_nothing(app: Flask, login: Any) -> None:
    """As two workers see it of whom one was too slow, or a worker and an administrator."""
    ana = login('ana')
    login('ben')
    assert leave(ana).status_code == 204
    with app.app_context():
        leaving.erase_some(ana.id)
        db.session.commit()
    assert wrong_counters(app) == 0


# Killed in between


def make_posts(app: Flask, author: int, number: int) -> None:
    """Posts of which every tenth was edited."""
    rows = [{'author_id': author, 'text': f'post {n}', 'created_at': utcnow()} for n in range(number)]
    with app.app_context():
        db.session.execute(insert(Post), rows)
        edited = select(Post.id, Post.text, Post.created_at).where(Post.author_id == author, Post.id % 10 == 0)
        db.session.execute(insert(PostVersion).from_select(['post_id', 'text', 'written_at'], edited))
        db.session.execute(update(User).where(User.id == author).values(post_count=User.post_count + number))
        db.session.execute(text('ANALYZE'))
        db.session.commit()


def posts_left(app: Flask, author: int) -> int:
    return int(look(app, select(func.count()).where(Post.author_id == author)))


def own_posts(app: Flask, author: int) -> list[int]:
    with app.app_context():
        return list(db.session.scalars(select(Post.id).where(Post.author_id == author)))


@contextmanager
def working(app: Flask, program: Sequence[str] = WORKER) -> Iterator[subprocess.Popen[bytes]]:
    """A real worker, killed (-9) afterwards in whatever it does."""
    url = app.config['SQLALCHEMY_DATABASE_URI']
    environment = os.environ | {'ENVIRONMENT': 'development', 'DATABASE_URL': url, 'LOG_LEVEL': 'ERROR'}
    process = processes.start([sys.executable, *program], cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        processes.kill(process)


def worker_that(part: str, then: str) -> Sequence[str]:
    """Return a program for `working`."""
    return ['-c', WORKER_THAT.format(part, then, STEP_OF_A_WORKER)]


def end_leases(app: Flask) -> None:
    with app.app_context():
        db.session.execute(update(Message).where(Message.due_at.is_not(None)).values(due_at=utcnow()))
        db.session.commit()


@pytest.mark.process
@pytest.mark.usefixtures('steps_of_a_worker')
def test_a_worker_that_is_killed_loses_nothing(app: Flask, login: Any) -> None:
    ana, ben = login('ana'), login('ben')
    make_posts(app, ana.id, 10 * leaving.STEP)
    assert ben.put(f'/api/me/following/{ana.id}').status_code == 204
    assert leave(ana).status_code == 204
    lefts = [posts_left(app, ana.id)]
    assert lefts == [9 * leaving.STEP]
    for _ in range(2):
        with working(app, worker_that('erase_posts', STOP_IN_THE_SECOND_STEP)):
            wait_until(lambda: posts_left(app, ana.id) < lefts[-1])
        assert wrong_counters(app) == 0
        lefts.append(posts_left(app, ana.id))
        assert count_rows(app)['outbox'] == 1
        end_leases(app)
    assert lefts[-1] > 0
    deliver_all(app)
    assert not is_there(app, ana.id)
    assert wrong_counters(app) == 0
    rows = count_rows(app)
    assert (rows['users'], rows['posts'], rows['post_versions'], rows['follows'], rows['outbox']) == (1, 0, 0, 0, 0)


@pytest.mark.process
@pytest.mark.usefixtures('steps_of_a_worker')
@pytest.mark.parametrize('what', ['take_likes', 'erase_posts', 'erase_user'])
def test_one_that_is_killed_within_a_step_did_nothing_of_it(app: Flask, login: Any, what: str) -> None:
    ana, ben = login('ana'), login('ben')
    make_posts(app, ana.id, leaving.STEP + 10)
    assert leave(ana).status_code == 204
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


# While it goes on


def test_what_is_under_way_of_theirs_comes_to_nothing(app: Flask, login: Any) -> None:
    ana, ben = login('ana'), login('ben')
    post = add_posts(app, ben.id, 1)[0]
    maker = token_of(app, ana.id)
    actions = {
        'write a post': lambda: write_post(actor=ana.id, text='still here'),
        'reply': lambda: write_post(actor=ana.id, text='still here', reply_to_id=post),
        'like': lambda: like_post(actor=ana.id, id=post),
        'follow': lambda: follow_user(actor=ana.id, id=ben.id),
        'change': lambda: change_account(actor=ana.id, may_change_email=True, about_me='still here'),
        'rename': lambda: change_account(actor=ana.id, may_change_email=True, username='ana2'),
        'move': lambda: change_account(actor=ana.id, may_change_email=True, email='still@example.com'),
        'make a token': lambda: make_personal_token(
            actor=ana.id,
            maker=maker,
            name='still',
            scopes=['users:read'],
            expires_in=timedelta(days=1),
        ),
        'issue a token': lambda: issue_token(actor=ana.id),
        'issue for a password': lambda: issue_token(actor=ana.id, credentials_version=0),
    }
    close(app, ana.id)
    expected = dict.fromkeys(actions, UnauthorizedError)
    before = dump(app)
    assert {name: attempt(app, action) for name, action in actions.items()} == expected
    assert dump(app) == before
    with app.app_context():
        assert leaving.erase_some(ana.id)
        db.session.commit()
    before = dump(app)
    assert {name: attempt(app, action) for name, action in actions.items()} == expected
    assert dump(app) == before
    assert wrong_counters(app) == 0


def token_of(app: Flask, user: int) -> int:
    with app.app_context():
        return db.session.scalars(select(Token.id).where(Token.user_id == user)).one()


def close(app: Flask, user: int) -> None:
    with app.app_context():
        assert leaving.close_account(user)
        db.session.commit()


def beside(action: Callable[[], Any]) -> threading.Thread:
    """Starts an action that waits for what is locked here."""
    thread = threading.Thread(target=action)
    thread.start()
    thread.join(0.5)  # it waits now, or is done
    return thread


def test_no_token_comes_from_one_that_ends_at_that_moment(app: Flask, login: Any) -> None:
    ana = login('ana')
    maker = token_of(app, ana.id)
    with app.app_context():
        make_personal_token(
            actor=ana.id,
            maker=maker,
            name='late',
            scopes=['users:read'],
            expires_in=timedelta(days=1),
        )
        closing_it = beside(lambda: close(app, ana.id))
        db.session.commit()
    closing_it.join()
    assert count_rows(app)['tokens'] == 0


def test_a_token_that_is_given_out_at_that_moment_is_in_nobodys_way(app: Flask, login: Any) -> None:
    """As `issue_token` does it: the user first, then the tokens that have expired."""
    ana = login('ana')
    with exact(app):
        with app.app_context():
            lock_user(ana.id)
            closing_it = beside(lambda: close(app, ana.id))
            db.session.execute(delete(Token).where(Token.user_id == ana.id))
            db.session.commit()
        closing_it.join()
    with app.app_context():
        assert db.session.scalar(select(User.disabled_at)) is not None


def test_a_like_of_theirs_at_that_moment_is_in_nobodys_way(app: Flask, login: Any) -> None:
    """As `like_post` does it: the post first, then the user."""
    ana = login('ana')
    post = add_posts(app, ana.id, 1)[0]
    answers: list[int] = []
    with exact(app):
        with app.app_context():
            likes.lock(post)
            leaving_it = beside(lambda: answers.append(leave(ana).status_code))
            lock_user(ana.id)
            db.session.commit()
        leaving_it.join()
        deliver_all(app)
    assert answers == [204]
    assert not is_there(app, ana.id)


def test_a_follow_at_that_moment_is_in_nobodys_way(app: Flask, login: Any) -> None:
    """As `follow_user` does it: the user with the lower id first."""
    ben, ana = login('ben'), login('ana')
    add_follows(app, [(ben.id, ana.id)])
    answers: list[int] = []
    with exact(app):
        with app.app_context():
            lock_user(ben.id)
            leaving_it = beside(lambda: answers.append(leave(ana).status_code))
            lock_user(ana.id)
            db.session.commit()
        leaving_it.join()
        deliver_all(app)
    assert answers == [204]
    assert not is_there(app, ana.id)


def test_two_who_answer_each_other_leave_at_once(app: Flask, login: Any) -> None:
    for round in range(5):
        users = [login(f'ana{round}'), login(f'ben{round}'), login(f'cleo{round}')]
        posts = [add_posts(app, user.id, 5) for user in users]
        for user, liked in zip(users, posts[1:] + posts[:1], strict=True):
            add_likes(app, [(user.id, post) for post in liked])
            add_posts(app, user.id, 1, reply_to=liked[0])
        add_follows(app, [(one.id, other.id) for one in users for other in users if one is not other])
        with exact(app):
            with ThreadPoolExecutor(len(users)) as pool:
                assert [answer.status_code for answer in pool.map(leave, users)] == [204] * len(users)
            deliver_all(app)
        assert count_rows(app)['users'] == 0


@pytest.fixture
def between(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`between(model, action)`: somebody acts after a step has seen what there is, before it locks rows of that model.

    On SQLite nobody can: there is a single writer.
    """

    def arrange(model: Any, action: Callable[[], Any]) -> None:
        lock = leaving.lock

        def act_first(locked: Any, wanted: Any) -> None:
            if locked is model and db.engine.dialect.name != 'sqlite':
                with ThreadPoolExecutor(1) as pool:
                    assert pool.submit(attempt, app, action).result(SECONDS) in (None, ApiError)
            lock(locked, wanted)

        monkeypatch.setattr(leaving, 'lock', act_first)

    return arrange


@pytest.mark.parametrize(
    ('model', 'what'),
    [
        *((Post, what) for what in ('follow', 'unfollow', 'like', 'unlike', 'reply')),
        *((User, what) for what in ('follow', 'unfollow')),  # the posts are locked by then
    ],
)
def test_what_comes_between_the_look_and_the_locks(app: Flask, login: Any, between: Any, model: Any, what: str) -> None:
    ana, ben, cleo = login('ana'), login('ben'), login('cleo')
    first, second = add_posts(app, ana.id, 2)
    add_likes(app, [(ben.id, first)])
    add_follows(app, [(ben.id, ana.id)])
    close(app, ana.id)
    acts = {
        'follow': lambda: follow_user(actor=cleo.id, id=ana.id),
        'unfollow': lambda: unfollow_user(actor=ben.id, id=ana.id),
        'like': lambda: like_post(actor=cleo.id, id=second),
        'unlike': lambda: unlike_post(actor=ben.id, id=first),
        'reply': lambda: write_post(actor=cleo.id, text='wait', reply_to_id=second),
    }
    between(model, acts[what])
    with app.app_context():
        if not leaving.erase_some(ana.id):
            outbox.post_message(outbox.ERASE_ACCOUNT, user_id=ana.id)
        db.session.commit()
    assert wrong_counters(app) == 0
    deliver_all(app)
    assert wrong_counters(app) == 0
    assert not is_there(app, ana.id)


# A storm


class Departure:
    """Leavers who like, follow and answer each other until they leave, and others who go on with what they have."""

    def __init__(self, server: Server, leavers: list[Client], others: list[Client], posts: list[int]):
        self.server, self.leavers, self.others, self.posts = server, leavers, others, posts

    def request(self, chance: random.Random) -> tuple[str, str, Any]:
        # The first posts of each go first, and many see them.
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

    def act(self, client: Client, number: int, requests: int, leaves: bool) -> Counter[tuple[str, int]]:
        chance = random.Random(f'{client.id} {number}')
        answers: Counter[tuple[str, int]] = Counter()
        with closing(Kept(self.server, client.token)) as kept:
            for turn in range(requests):
                if leaves and turn == requests // 2:
                    status, _ = kept.ask('DELETE', f'/api/users/{client.id}', {'password': PASSWORD})
                    answers['LEAVE', status] += 1
                method, path, body = self.request(chance)
                status, _ = kept.ask(method, path, body)
                answers[method, status] += 1
                if leaves and turn > requests // 2:
                    assert status == 401
        return answers


@pytest.mark.process
def test_a_storm_in_which_accounts_leave(app: Flask, server: Server, login: Any) -> None:
    leavers = [login(f'leaver{number}') for number in range(LEAVERS)]
    others = [login(f'other{number}') for number in range(4)]
    for leaver in leavers[::2]:
        make_posts(app, leaver.id, leaving.STEP + 100)
    posts = []
    for client in leavers + others:
        posts += add_posts(app, client.id, 4)
    storm = Departure(server, leavers, others, posts)
    with exact(app), working(app):
        with ThreadPoolExecutor(2 * LEAVERS + 4) as pool:
            acts = [pool.submit(storm.act, client, 0, REQUESTS, True) for client in leavers]
            acts += [pool.submit(storm.act, client, 1, REQUESTS, False) for client in leavers]
            acts += [pool.submit(storm.act, client, 2, 2 * REQUESTS, False) for client in others]
            answers = sum((act.result() for act in acts), Counter())
        wait_until(lambda: not any(is_there(app, leaver.id) for leaver in leavers))
    assert answers['LEAVE', 204] == LEAVERS
    assert all(references(app, leaver.id) == {} for leaver in leavers)
    assert 'leaver' not in dump(app)
    assert {status for _, status in answers} <= {201, 204, 400, 401, 403, 404}
    assert answers['PUT', 401] > 0
    assert answers['PUT', 204] > 50
    assert answers['POST', 201] > 20
