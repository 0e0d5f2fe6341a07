"""Many writers on few rows, over persistent connections: every status is expected and every counter is exact."""

import http.client
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from api.db.session import db
from api.models import Follow, Like, Post, TableCount, User
from config import Settings
from support.servers import Server, start_server

THREADS = 12
REQUESTS = 2_000
MAX_RETRIES = 5  # per connection
ROUNDS = 25

# Each counter, and the query that counts its rows.
COUNTERS = {
    User.post_count: select(func.count()).where(Post.author_id == User.id),
    User.follower_count: select(func.count()).where(Follow.followed_id == User.id),
    User.following_count: select(func.count()).where(Follow.follower_id == User.id),
}
POST_COUNTERS = {
    'like_count': select(Like.post_id, func.count()).group_by(Like.post_id),
    'reply_count': select(Post.reply_to_id, func.count())
    .where(Post.reply_to_id.is_not(None))
    .group_by(Post.reply_to_id),
}

Request = tuple[str, str, Any]


class Kept:
    """A persistent connection of one user, which the server must not close."""

    def __init__(self, server: Server, token: str | None):
        self.connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=120)
        self.connection.connect()
        self.connection.auto_open = 0
        self.headers = {'Authorization': f'Bearer {token}'}
        self.retries = MAX_RETRIES

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request, fail on a 5xx, and return the status and the JSON of the response.

        Retry a few requests if the response is a 503 with Retry-After: on a machine that is busy with other work, a
        writer can wait longer for the lock of SQLite than the server allows.
        """
        headers = self.headers
        if body is not None:
            kind = 'application/merge-patch+json' if method == 'PATCH' else 'application/json'
            headers = headers | {'Content-Type': kind}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self.connection.getresponse()
        content = response.read()
        if response.status == 503 and response.getheader('Retry-After') and self.retries:
            self.retries -= 1
            return self.ask(method, path, body)
        assert response.status < 500, (method, path, response.status, content)
        return response.status, json.loads(content) if content else None

    def close(self) -> None:
        self.connection.close()


def in_threads(work: Callable[[int], Any]) -> list[Any]:
    """Run `work` in THREADS threads that start at the same moment, and return the results."""
    barrier = threading.Barrier(THREADS)

    def start(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(start, range(THREADS)))


def wrong_counters(app: Flask) -> list[str]:
    """Return a line for each counter that differs from COUNT(*)."""
    wrong = []
    with app.app_context():
        for counter, count in COUNTERS.items():
            counted = count.scalar_subquery()
            rows = db.session.execute(select(User.id, counter, counted).where(counter != counted))
            wrong += [f'{counter} of {id}: {value}, not {right}' for id, value, right in rows]
        for name, count in POST_COUNTERS.items():
            counts = dict(map(tuple, db.session.execute(count)))
            for id, value in db.session.execute(select(Post.id, getattr(Post, name))):
                if value != counts.get(id, 0):
                    wrong.append(f'{name} of {id}: {value}, not {counts.get(id, 0)}')
        total = db.session.scalar(select(TableCount.row_count).where(TableCount.table_name == 'users'))
        users = db.session.scalar(select(func.count()).select_from(User))
        if total != users:
            wrong.append(f'users: {total}, not {users}')
    return wrong


def deadlocks(app: Flask) -> int:
    """Return how many deadlocks PostgreSQL has counted in this database; 0 on SQLite."""
    with app.app_context():
        if db.engine.dialect.name == 'sqlite':
            return 0
        found = text('SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()')
        return int(db.session.execute(found).scalar_one())


@contextmanager
def exact(app: Flask) -> Iterator[None]:
    """Check after the block that all counters are exact and that no deadlock has occurred."""
    before = deadlocks(app)
    yield
    assert wrong_counters(app) == []
    assert deadlocks(app) == before


@pytest.fixture(scope='module')
def wide_server(starts_processes: None, migrated_app: Flask, settings: Settings) -> Iterator[Server]:
    """Yield a server with a thread, and so a transaction, for each thread of the test."""
    with start_server(settings.database_url, WEB_THREADS=str(THREADS)) as server:
        yield server


class Storm:
    """Random writes. Each user has a few posts on the board, from which all users choose; some of them are deleted."""

    POSTS_OF_EACH = 2
    EXPECTED = {
        'follow': {204},
        'unfollow': {204},
        'like': {204, 404},
        'unlike': {204, 404},
        'post': {201},
        'reply': {201, 400},
        'patch': {200, 404},
        'delete': {204, 404},
    }

    def __init__(self, server: Server, users: list[Any]):
        self.server, self.users = server, users
        self.board: list[list[int]] = []
        for user in users:
            with closing(Kept(server, user.token)) as kept:
                written = [kept.ask('POST', '/api/posts', {'text': 'hello'})[1] for _ in range(self.POSTS_OF_EACH)]
            self.board.append([post['id'] for post in written])

    def run(self, number: int) -> Counter[tuple[str, int]]:
        """Send the requests of one thread, and return how often each action had each status."""
        chance = random.Random(f'thread {number}')
        responses: Counter[tuple[str, int]] = Counter()
        own = number % len(self.users)
        with closing(Kept(self.server, self.users[own].token)) as kept:
            for _ in range(REQUESTS // THREADS + (number < REQUESTS % THREADS)):
                action = chance.choice(list(self.EXPECTED))
                slot = chance.randrange(self.POSTS_OF_EACH)
                other = (own + chance.randrange(1, len(self.users))) % len(self.users)
                status, response = kept.ask(*self.request(action, chance, own, other, slot))
                if status == 201:
                    self.board[own][slot] = response['id']
                responses[action, status] += 1
        return responses

    def request(self, action: str, chance: random.Random, own: int, other: int, slot: int) -> Request:
        any_post = chance.choice(self.board)[slot]
        own_post = self.board[own][slot]
        return {
            'follow': ('PUT', f'/api/me/following/{self.users[other].id}', None),
            'unfollow': ('DELETE', f'/api/me/following/{self.users[other].id}', None),
            'like': ('PUT', f'/api/posts/{any_post}/like', None),
            'unlike': ('DELETE', f'/api/posts/{any_post}/like', None),
            'post': ('POST', '/api/posts', {'text': 'again'}),
            'reply': ('POST', '/api/posts', {'text': 'so you say', 'reply_to_id': any_post}),
            'patch': ('PATCH', f'/api/posts/{own_post}', {'text': f'changed {chance.random()}'}),
            'delete': ('DELETE', f'/api/posts/{own_post}', None),
        }[action]


def check_storm(app: Flask, server: Server, login: Any) -> None:
    storm = Storm(server, [login(name) for name in ('ana', 'ben', 'cleo', 'dan')])
    with exact(app):
        responses = sum(in_threads(storm.run), Counter())
    assert responses.total() == REQUESTS
    promised = {(action, status) for action, statuses in storm.EXPECTED.items() for status in statuses}
    assert set(responses) <= promised, responses
    # Most requests that were meant to change a row found it.
    assert all(
        responses[action, min(statuses)] >= 50 for action, statuses in storm.EXPECTED.items() if action != 'reply'
    )
    assert responses['reply', 201] >= 50


def test_storm_of_writes_keeps_counters_exact(app: Flask, server: Server, login: Any) -> None:
    check_storm(app, server, login)


def test_storm_with_many_transactions_keeps_counters_exact(app: Flask, wide_server: Server, login: Any) -> None:
    check_storm(app, wide_server, login)


def rounds(server: Server, tokens: list[Any], requests: Callable[[int], list[Request]]) -> Counter[tuple[str, int]]:
    """Send one request per thread at the same moment, ROUNDS times; return how often each method had each status.

    requests: returns the requests of a round, one for each thread, in the order of the tokens.
    """
    barrier = threading.Barrier(THREADS, timeout=120)
    round_requests: list[Request] = []

    def send_rounds(number: int) -> Counter[tuple[str, int]]:
        responses: Counter[tuple[str, int]] = Counter()
        # If one thread fails, the others must not wait for it.
        with closing(Kept(server, tokens[number])) as kept, suppress(threading.BrokenBarrierError):
            for round in range(ROUNDS):
                try:
                    # One thread prepares the round; the others wait at the second barrier.
                    if barrier.wait() == 0:
                        round_requests[:] = requests(round)
                    barrier.wait()
                    method, path, body = round_requests[number]
                    responses[method, kept.ask(method, path, body)[0]] += 1
                except BaseException:
                    barrier.abort()
                    raise
        return responses

    return sum(in_threads(send_rounds), Counter())


def test_mutual_follows_are_counted_once(app: Flask, wide_server: Server, login: Any) -> None:
    ana, ben = login('ana'), login('ben')
    clients = [ana, ben] * (THREADS // 2)
    others = [ben, ana] * (THREADS // 2)

    def requests(round: int) -> list[Request]:
        methods = ['PUT', 'PUT', 'DELETE', 'PUT', 'DELETE', 'DELETE']
        return [
            ('POST', '/api/posts', {'text': 'hello'})
            if number >= THREADS - 2
            else (methods[(number + round) % 6], f'/api/me/following/{other.id}', None)
            for number, other in enumerate(others)
        ]

    with exact(app):
        responses = rounds(wide_server, [client.token for client in clients], requests)
    assert set(responses) == {('PUT', 204), ('DELETE', 204), ('POST', 201)}


def write(client: Any, reply_to: int | None = None) -> int:
    """Create a post in this process, and return its id."""
    body = {'text': 'hello'} | ({'reply_to_id': reply_to} if reply_to else {})
    response = client.post('/api/posts', json=body)
    assert response.status_code == 201
    return int(response.json['id'])


def test_deleting_a_post_while_others_like_and_reply(app: Flask, wide_server: Server, login: Any) -> None:
    ana, ben, cleo, dan = clients = [login(name) for name in ('ana', 'ben', 'cleo', 'dan')]

    def requests(round: int) -> list[Request]:
        post = write(ana, write(dan))
        assert ben.put(f'/api/posts/{post}/like').status_code == 204
        write(cleo, post)
        like, one_post = f'/api/posts/{post}/like', f'/api/posts/{post}'
        reply = ('POST', '/api/posts', {'text': 'so you say', 'reply_to_id': post})
        # The clients ana, ben, cleo and dan send these in turn. The round decides whether ben likes or unlikes.
        return [
            ('DELETE', one_post, None),
            ('PUT' if round % 2 else 'DELETE', like, None),
            ('PUT', like, None),
            reply,
            ('PATCH', one_post, {'text': f'changed in {round}'}),
            reply,
            ('DELETE', like, None),
            ('PUT', like, None),
            ('DELETE', one_post, None),
            reply,
            ('PUT', like, None),
            ('DELETE', like, None),
        ]

    with exact(app):
        responses = rounds(wide_server, [client.token for client in clients * 3], requests)
    promised = {('PUT', 204), ('DELETE', 204), ('POST', 201), ('POST', 400), ('PATCH', 200)}
    assert set(responses) <= promised | {('PUT', 404), ('DELETE', 404), ('PATCH', 404)}, responses
    assert responses['DELETE', 204] >= ROUNDS


def test_deleting_a_thread_at_once(app: Flask, wide_server: Server, login: Any) -> None:
    """All posts of a thread are deleted at the same moment, and each gets a reply and a like meanwhile."""
    clients = [login(name) for name in ('ana', 'ben', 'cleo', 'dan')]
    families: list[list[int]] = []

    def requests(round: int) -> list[Request]:
        family = [write(clients[0])]
        for generation in range(1, 4):
            family.append(write(clients[generation], family[-1]))
        # Another reply to each parent, which ON DELETE SET NULL has to change, too.
        for generation in range(3):
            write(clients[round % 4], family[generation])
        families.append(family)
        deletions: list[Request] = [('DELETE', f'/api/posts/{id}', None) for id in family]
        replies: list[Request] = [('POST', '/api/posts', {'text': 'no', 'reply_to_id': id}) for id in family[::-1]]
        likes: list[Request] = [('PUT', f'/api/posts/{id}/like', None) for id in family]
        return deletions + replies + likes

    with exact(app):
        responses = rounds(wide_server, [client.token for client in clients * 3], requests)
    assert set(responses) <= {('DELETE', 204), ('POST', 201), ('POST', 400), ('PUT', 204), ('PUT', 404)}, responses
    assert responses['DELETE', 204] == 4 * ROUNDS
    with app.app_context():
        gone = [id for family in families for id in family]
        assert db.session.scalars(select(Post.id).where(Post.id.in_(gone))).all() == []
        assert db.session.scalars(select(Post.id).where(Post.reply_to_id.in_(gone))).all() == []
