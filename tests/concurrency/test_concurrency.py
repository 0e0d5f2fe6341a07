"""Concurrent requests over real connections to a real server."""

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, insert, select, update

from api.actions.posts import create_post, delete_post
from api.app import create_app
from api.clock import utcnow
from api.db.session import db
from api.errors import ApiError
from api.models import Follow, Post, TableCount, User
from config import Settings
from support.servers import Server
from tests.concurrency.test_storm import Kept
from tests.support.client import PASSWORD, basic

AT_ONCE = 20
WRITERS = 8


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Call all functions at the same moment, each in a thread, and return their results."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_one_of_many_equal_registrations_succeeds(app: Flask, server: Server) -> None:
    for round in range(10):
        registrations = [
            {'username': f'ana{round}', 'email': f'ana{round}-{number}@example.com', 'password': PASSWORD}
            for number in range(AT_ONCE)
        ]
        responses = at_once([lambda body=body: server.ask('POST', '/api/users', body) for body in registrations])
        refused = [response.json['message'] for response in responses if response.status == 400]
        assert sorted(response.status for response in responses) == [201] + [400] * (AT_ONCE - 1)
        assert set(refused) == {'please use a different username'}
    with app.app_context():
        assert db.session.scalar(select(TableCount.row_count).where(TableCount.table_name == 'users')) == 10


def test_simultaneous_token_requests_share_one_token(server: Server, make_user: Any) -> None:
    make_user('ana')
    responses = at_once([lambda: server.ask('POST', '/api/tokens', **basic('ana', PASSWORD))] * 10)
    assert [response.status for response in responses] == [200] * 10
    assert len({response.json['token'] for response in responses}) == 1


def iterate(server: Server, token: str, url: str) -> Iterator[int]:
    """Yield the ids of a collection, along its `next` links."""
    while url:
        page = server.ask('GET', url, Authorization=f'Bearer {token}').json
        yield from (item['id'] for item in page['items'])
        url = page['_links']['next']


@contextmanager
def writing(app: Flask, write: Callable[[random.Random], None]) -> Iterator[None]:
    """Run WRITERS threads during the block, each of which writes in one transaction after another."""
    stop = threading.Event()
    failures: list[Exception] = []
    written = [0] * WRITERS

    def keep_writing(number: int) -> None:
        chance = random.Random(f'writer {number}')
        while not stop.is_set():
            try:
                with app.app_context():
                    write(chance)
                    db.session.commit()
                written[number] += 1
            except Exception as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=keep_writing, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert all(written)


def new_user(chance: random.Random) -> dict[str, Any]:
    name = f'guest{chance.getrandbits(64)}'
    return {'username': name, 'email': f'{name}@example.com', 'password_hash': '', 'created_at': utcnow()}


def test_iterating_users_sees_each_once(app: Flask, server: Server, login: Any) -> None:
    ana = login('ana')
    with app.app_context():
        chance = random.Random(0)
        users = db.session.scalars(insert(User).returning(User.id), [new_user(chance) for _ in range(600)]).all()
        db.session.commit()
    passing = users[::3]
    staying = set(users) - set(passing)

    def come_and_go(chance: random.Random) -> None:
        db.session.execute(insert(User), new_user(chance))
        db.session.execute(delete(User).where(User.id == chance.choice(passing)))
        db.session.execute(
            update(TableCount).where(TableCount.table_name == 'users').values(row_count=TableCount.row_count)
        )

    with writing(app, come_and_go):
        # New users come last, so the iteration might never end: the first 600 ids and some more are enough.
        seen = []
        for id in iterate(server, ana.token, '/api/users?per_page=7&after='):
            seen.append(id)
            if id > users[-1]:
                break
    assert len(seen) == len(set(seen))
    assert staying <= set(seen)


def test_iterating_followers_sees_each_once(app: Flask, server: Server, login: Any) -> None:
    hub = login('hub')
    with app.app_context():
        chance = random.Random(0)
        users = list(db.session.scalars(insert(User).returning(User.id), [new_user(chance) for _ in range(600)]))
        rows = [{'follower_id': id, 'followed_id': hub.id, 'created_at': utcnow()} for id in users]
        db.session.execute(insert(Follow), rows)
        db.session.execute(update(User).where(User.id == hub.id).values(follower_count=len(users)))
        db.session.commit()
    passing = users[::3]
    staying = set(users) - set(passing)

    def follow_or_unfollow(chance: random.Random) -> None:
        pair = {'follower_id': chance.choice(passing), 'followed_id': hub.id}
        # Both kinds of writers change this row first, so that they wait for each other here.
        counter = update(User).where(User.id == hub.id)
        db.session.execute(counter.values(follower_count=User.follower_count))
        if db.session.execute(delete(Follow).filter_by(**pair)).rowcount:
            db.session.execute(counter.values(follower_count=User.follower_count - 1))
        else:
            db.session.execute(insert(Follow).values(**pair, created_at=utcnow()))
            db.session.execute(counter.values(follower_count=User.follower_count + 1))

    for _ in range(3):
        with writing(app, follow_or_unfollow):
            seen = list(iterate(server, hub.token, f'/api/users/{hub.id}/followers?per_page=7&after='))
        stayed = [id for id in seen if id in staying]
        assert sorted(stayed) == sorted(staying)


def make_authors(app: Flask, follower: int) -> list[int]:
    """Insert WRITERS users, all followed by one user, and 600 posts by them, and return their ids."""
    with app.app_context():
        chance = random.Random(0)
        users = [new_user(chance) for _ in range(WRITERS)]
        authors = list(db.session.scalars(insert(User).returning(User.id), users))
        follows = [{'follower_id': follower, 'followed_id': id, 'created_at': utcnow()} for id in authors]
        db.session.execute(insert(Follow), follows)
        posts = [{'author_id': authors[n % WRITERS], 'text': 'hello', 'created_at': utcnow()} for n in range(600)]
        db.session.execute(insert(Post), posts)
        db.session.execute(update(User).where(User.id.in_(authors)).values(post_count=len(posts) // WRITERS))
        db.session.commit()
    return authors


@pytest.fixture
def wide_app(app: Flask, settings: Settings) -> Iterator[Flask]:
    """Yield an application with a connection for each writer, on the database of `app`."""
    wide = create_app(replace(settings, web_threads=WRITERS))
    yield wide
    with wide.app_context():
        db.engine.dispose()


@pytest.mark.parametrize('url', ['/api/posts', '/api/users/{author}/posts', '/api/feed'])
def test_iterating_posts_sees_each_once(wide_app: Flask, server: Server, login: Any, url: str) -> None:
    reader = login('reader')
    authors = make_authors(wide_app, reader.id)
    url = url.format(author=authors[0])
    with wide_app.app_context():
        in_url = authors[:1] if 'users' in url else authors
        posts = db.session.scalars(select(Post.id).where(Post.author_id.in_(in_url)).order_by(Post.id)).all()
    staying = {id for number, id in enumerate(posts) if number % 3}
    passing = deque(id for number, id in enumerate(posts) if not number % 3)
    random.Random(0).shuffle(passing)

    def write_or_delete(chance: random.Random) -> None:
        # Each new post is deleted later, after the old ones that are in the queue before it.
        passing.append(create_post(actor=chance.choice(in_url), text='and gone')['id'])
        db.session.commit()
        with suppress(ApiError):
            delete_post(id=passing.popleft())

    with writing(wide_app, write_or_delete):
        for _ in range(2):
            seen = list(iterate(server, reader.token, f'{url}?per_page=7'))
            assert seen == sorted(set(seen), reverse=True)
            assert staying <= set(seen)


def test_polling_during_writes_misses_nothing(app: Flask, server: Server, login: Any) -> None:
    reader = login('reader')
    writers = [login(f'writer{number}') for number in range(WRITERS)]
    for writer in writers:
        assert reader.put(f'/api/me/following/{writer.id}').status_code == 204
    written = threading.Event()

    def write(writer: Any) -> list[int]:
        ids = []
        with closing(Kept(server, writer.token)) as kept:
            for _ in range(60):
                status, post = kept.ask('POST', '/api/posts', {'text': 'hello'})
                assert status == 201
                ids.append(post['id'])
        return ids

    def poll(url: str) -> list[int]:
        ids = []
        with closing(Kept(server, reader.token)) as kept:
            while True:
                last = written.is_set()
                status, page = kept.ask('GET', url)
                assert status == 200
                ids += [post['id'] for post in reversed(page['items'])]
                url = page['_links']['prev']
                if last and not page['items']:
                    return ids

    # Read before anything is written, however late the pollers begin.
    urls = [reader.get(url).json['_links']['prev'] for url in ('/api/posts?per_page=5', '/api/feed?per_page=5')]
    with ThreadPoolExecutor(WRITERS + 2) as pool:
        pollers = [pool.submit(poll, url) for url in urls]
        try:
            posts = sorted(id for ids in pool.map(write, writers) for id in ids)
        finally:
            written.set()
        assert [poller.result() for poller in pollers] == [posts, posts]


def test_posts_become_visible_in_id_order(app: Flask, server: Server, login: Any) -> None:
    """A post waits until posts with lower ids are committed. Otherwise a client that polls meanwhile misses them."""
    ana, ben, reader = login('ana'), login('ben'), login('reader')
    for writer in (ana, ben):
        assert reader.put(f'/api/me/following/{writer.id}').status_code == 204
    urls = ['/api/posts', '/api/feed']

    def poll() -> list[list[int]]:
        ids = []
        for number, url in enumerate(urls):
            page = server.ask('GET', url, Authorization=f'Bearer {reader.token}').json
            ids.append([post['id'] for post in reversed(page['items'])])
            urls[number] = page['_links']['prev']
        return ids

    def write() -> int:
        response = server.ask('POST', '/api/posts', {'text': 'second'}, Authorization=f'Bearer {ben.token}')
        return int(response.json['id'])

    with ThreadPoolExecutor(1) as pool:
        with app.app_context():
            first = create_post(actor=ana.id, text='first')['id']
            second = pool.submit(write)
            # Without the lock the second post would be visible at once; only a pause shows that it waits.
            wait([second], timeout=0.5)
            seen = poll()
            db.session.commit()
        posts = [first, second.result()]
    assert [early + late for early, late in zip(seen, poll(), strict=True)] == [posts, posts]
