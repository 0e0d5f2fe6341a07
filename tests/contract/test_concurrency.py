"""What happens at the same moment, over real connections to a real server."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import delete, insert, select, update

from api.clock import utcnow
from api.extensions import db
from api.models import Follow, Total, User
from tests.conftest import PASSWORD, basic
from tests.servers import Server

AT_ONCE = 20
WRITERS = 8


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Calls all of them at the same moment, each in a thread."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_one_of_many_simultaneous_registrations_of_a_name_succeeds(app: Flask, server: Server) -> None:
    for round in range(10):
        registrations = [
            {'username': f'ana{round}', 'email': f'ana{round}-{number}@example.com', 'password': PASSWORD}
            for number in range(AT_ONCE)
        ]
        answers = at_once([lambda each=each: server.ask('POST', '/api/users', each) for each in registrations])
        refused = [answer.json['message'] for answer in answers if answer.status == 400]
        assert sorted(answer.status for answer in answers) == [201] + [400] * (AT_ONCE - 1)
        assert set(refused) == {'please use a different username'}
    with app.app_context():
        assert db.session.scalar(select(Total.value).where(Total.name == 'users')) == 10


def test_whoever_asks_for_a_token_at_the_same_moment_is_given_the_same(server: Server, make_user: Any) -> None:
    make_user('ana')
    answers = at_once([lambda: server.ask('POST', '/api/tokens', **basic('ana', PASSWORD))] * 10)
    assert [answer.status for answer in answers] == [200] * 10
    assert len({answer.json['token'] for answer in answers}) == 1


def walk(server: Server, token: str, url: str) -> Iterator[int]:
    """The ids of a collection, from link to link."""
    while url:
        page = server.ask('GET', url, Authorization=f'Bearer {token}').json
        yield from (item['id'] for item in page['items'])
        url = page['_links']['next']


@contextmanager
def writing(app: Flask, write: Callable[[random.Random], None]) -> Iterator[None]:
    """Meanwhile, writers change rows in transactions of their own, one after the other."""
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


def test_a_walk_over_users_sees_who_stayed_exactly_once(app: Flask, server: Server, login: Any) -> None:
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
        db.session.execute(update(Total).where(Total.name == 'users').values(value=Total.value))

    with writing(app, come_and_go):
        # New users come last, so that the walk might never end: the first 600 ids and some are enough.
        seen = []
        for id in walk(server, ana.token, '/api/users?per_page=7&after='):
            seen.append(id)
            if id > users[-1]:
                break
    assert len(seen) == len(set(seen))
    assert staying <= set(seen)


def test_a_walk_over_followers_sees_who_stayed_exactly_once(app: Flask, server: Server, login: Any) -> None:
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
        # The row that both kinds of writers change comes first, so that they wait for each other here.
        counter = update(User).where(User.id == hub.id)
        db.session.execute(counter.values(follower_count=User.follower_count))
        if db.session.execute(delete(Follow).filter_by(**pair)).rowcount:
            db.session.execute(counter.values(follower_count=User.follower_count - 1))
        else:
            db.session.execute(insert(Follow).values(**pair, created_at=utcnow()))
            db.session.execute(counter.values(follower_count=User.follower_count + 1))

    for _ in range(3):
        with writing(app, follow_or_unfollow):
            seen = list(walk(server, hub.token, f'/api/users/{hub.id}/followers?per_page=7&after='))
        stayed = [id for id in seen if id in staying]
        assert sorted(stayed) == sorted(staying)
