"""With a replica: who reads there, who does not, and that nobody notices when it goes."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from api import replica as module
from api.app import create_app
from api.extensions import db
from api.replica import Replica
from chaos.cluster import Cluster
from config import Settings
from tests import databases
from tests.conftest import PASSWORD, basic
from tests.replication import replication
from tests.servers import serving


class Pair(NamedTuple):
    primary: Cluster
    replica: Cluster
    app: Flask

    @property
    def watch(self) -> Replica:
        return self.app.extensions['replica']

    def user(self, name: str) -> 'User':
        """Somebody new, who has a token and has written nothing for long."""
        client = self.app.test_client()
        registration = {'username': name, 'email': f'{name}@example.com', 'password': PASSWORD}
        id = client.post('/api/users', json=registration).json['id']
        token = client.post('/api/tokens', headers=basic(name, PASSWORD)).json['token']
        self.age(id, 100)
        return User(id, client, {'Authorization': f'Bearer {token}'})

    def age(self, id: int, seconds: int) -> None:
        """As if a user's last write were so many seconds ago."""
        self.primary.execute(f"UPDATE users SET wrote_at = now() - interval '{seconds}s' WHERE id = {id}")
        self.level()

    def level(self) -> None:
        """Waits until the replica has everything."""
        position = self.primary.ask('SELECT pg_current_wal_lsn()')
        until(lambda: self.replica.ask(f"SELECT pg_last_wal_replay_lsn() >= '{position}'"))

    def near(self) -> None:
        until(self.watch.is_near)


class User(NamedTuple):
    id: int
    client: FlaskClient
    headers: dict[str, str]

    def get(self, path: str) -> Any:
        answer = self.client.get(path, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json

    def write(self, text: str, **others: Any) -> int:
        answer = self.client.post('/api/posts', json={'text': text, **others}, headers=self.headers)
        assert answer.status_code == 201, answer.text
        return answer.json['id']

    def sees(self, post: int, path: str = '/api/posts') -> bool:
        return post in [item['id'] for item in self.get(path)['items']]


def until(happens: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope='module')
def servers(starts_processes: None) -> Iterator[tuple[Cluster, Cluster]]:
    with replication() as servers:
        databases.upgrade(servers[0].url('postgres'))
        yield servers


@pytest.fixture
def pair(servers: tuple[Cluster, Cluster], monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    monkeypatch.setattr(module, 'SECONDS_BETWEEN_LOOKS', 0.1)
    primary, replica = servers
    app = create_app(
        Settings(
            database_url=primary.url('postgres'), database_replica_url=replica.url('postgres'), log_level='CRITICAL'
        )
    )
    pair = Pair(primary, replica, app)
    pair.near()
    yield pair
    until(lambda: pair.watch._looking.acquire(blocking=False))
    pair.watch.engine.dispose()
    databases.empty(app)
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def paused(pair: Pair) -> Iterator[Pair]:
    """With a replica that stays as it is once `pause` was called."""
    yield pair
    pair.replica.execute('SELECT pg_wal_replay_resume()')
    pair.level()


def pause(pair: Pair) -> None:
    pair.level()
    pair.replica.execute('SELECT pg_wal_replay_pause()')
    until(lambda: pair.replica.ask('SELECT pg_get_wal_replay_pause_state()') == 'paused')


def test_who_has_not_written_reads_on_the_replica_and_who_has_does_not(paused):
    ana, ben = paused.user('ana'), paused.user('ben')
    post = ana.write('Before')
    paused.age(ana.id, 100)
    pause(paused)
    reply = ana.write('After', reply_to_id=post)
    for path in ('/api/posts', '/api/feed', f'/api/users/{ana.id}/posts', f'/api/posts/{post}/replies'):
        assert ana.sees(reply, path)
        assert not ben.sees(reply, path)
    assert ben.sees(post)
    paused.replica.execute('SELECT pg_wal_replay_resume()')
    until(lambda: ben.sees(reply))


def test_so_it_is_with_numbered_collections(paused):
    ana, ben = paused.user('ana'), paused.user('ben')
    pause(paused)
    assert ana.client.put(f'/api/me/following/{ben.id}', headers=ana.headers).status_code == 204
    followers = f'/api/users/{ben.id}/followers'
    assert [len(reader.get(followers)['items']) for reader in (ana, ben)] == [1, 0]
    counts = [[item['follower_count'] for item in reader.get('/api/users')['items']] for reader in (ana, ben)]
    assert counts == [[0, 1], [0, 0]]


def test_a_minute_after_a_write_one_reads_on_the_replica_again(paused):
    ana, ben = paused.user('ana'), paused.user('ben')
    paused.age(ben.id, 50)
    pause(paused)
    post = ana.write('Hello!')
    assert ben.sees(post)
    paused.primary.execute(f"UPDATE users SET wrote_at = now() - interval '61s' WHERE id = {ben.id}")
    assert not ben.sees(post)


def test_a_token_is_a_write_too(pair):
    """Whoever has registered a moment ago reads where they are registered."""
    client = pair.app.test_client()
    client.post('/api/users', json={'username': 'ana', 'email': 'ana@example.com', 'password': PASSWORD})
    assert pair.primary.ask('SELECT wrote_at FROM users') is None
    client.post('/api/tokens', headers=basic('ana', PASSWORD))
    assert pair.primary.ask("SELECT now() - wrote_at < interval '10s' FROM users")


def test_writes_are_noted_once_in_ten_seconds_and_only_if_they_are_kept(pair):
    ana = pair.user('ana')
    noted = 'SELECT wrote_at FROM users'
    before = pair.primary.ask(noted)
    dry = {**ana.headers, 'Prefer': 'dry-run'}
    assert ana.client.post('/api/posts', json={'text': 'Hello!'}, headers=dry).status_code == 201
    assert ana.client.post('/api/posts', json={'text': ''}, headers=ana.headers).status_code == 400
    assert pair.primary.ask(noted) == before
    ana.write('Hello!')
    first = pair.primary.ask(noted)
    assert first > before
    pair.age(ana.id, 8)
    before = pair.primary.ask(noted)
    ana.write('Hello!')
    assert pair.primary.ask(noted) == before
    pair.age(ana.id, 11)
    ana.write('Hello!')
    assert pair.primary.ask(noted) >= first


def test_what_the_replica_does_not_have_yet_is_not_404(paused):
    ana, ben = paused.user('ana'), paused.user('ben')
    pause(paused)
    post = ana.write('Hello!')
    assert ben.get(f'/api/posts/{post}/replies')['items'] == []
    assert ben.client.get('/api/posts/999999/replies', headers=ben.headers).status_code == 404


def test_a_token_that_was_revoked_ends_at_once(paused):
    ana = paused.user('ana')
    pause(paused)
    assert ana.client.delete('/api/tokens', headers=ana.headers).status_code == 204
    assert ana.client.get('/api/posts', headers=ana.headers).status_code == 401


def test_a_replica_that_lags_too_far_is_left_out_until_it_has_caught_up(paused, monkeypatch):
    ana, ben = paused.user('ana'), paused.user('ben')
    pause(paused)
    until(paused.watch.is_near)
    post = ana.write('Hello!')
    assert not ben.sees(post)
    monkeypatch.setattr(module, 'monotonic', lambda: time.monotonic() + module.MOST_SECONDS_BEHIND)
    assert ben.sees(post)
    paused.replica.execute('SELECT pg_wal_replay_resume()')
    until(paused.watch.is_near)


def test_a_replica_that_is_none_is_not_read(pair):
    with pair.app.app_context():
        promoted = Replica(db.engine, db.engine)
    assert not promoted.is_near()
    until(lambda: promoted._is_away)
    assert not promoted.is_near()


@pytest.mark.process
def test_it_dies_and_comes_back_and_no_request_fails(pair):
    """A real server under load; the replica is killed in the middle of it and started again."""
    ben = pair.user('ben')
    ben.write('Hello!')
    pair.age(ben.id, 100)
    answers: list[int] = []
    stop = threading.Event()

    def read(server: Any) -> None:
        while not stop.is_set():
            answers.append(server.ask('GET', '/api/posts', **ben.headers).status)

    with serving(pair.primary.url('postgres'), DATABASE_REPLICA_URL=pair.replica.url('postgres')) as server:
        readers = [threading.Thread(target=read, args=(server,)) for _ in range(4)]
        for reader in readers:
            reader.start()
        until(lambda: is_read(pair.replica))
        pair.replica.kill()
        count = len(answers)
        until(lambda: len(answers) > count + 100)
        pair.replica.start()
        until(lambda: is_read(pair.replica))
        stop.set()
        for reader in readers:
            reader.join()
    assert set(answers) == {200}


def test_it_hangs_and_is_waited_for_once(pair, monkeypatch):
    ben = pair.user('ben')
    ben.get('/api/posts')
    until(lambda: pair.watch._looking.acquire(blocking=False))  # it is not looked at meanwhile
    used: list[object] = []
    event.listen(pair.watch.engine, 'checkout', lambda *connection: used.append(connection))
    try:
        with pair.replica.frozen():
            for _ in range(10):
                # Without the time limit of the connection, this would not end.
                assert ben.get('/api/posts')['items'] == []
        assert len(used) == 1
    finally:
        pair.watch._looking.release()
    pair.near()


def is_read(server: Cluster) -> bool:
    """Whether the application has asked it for posts."""
    asked = "application_name = 'microblog' AND query LIKE '%posts%'"
    return server.ask(f'SELECT count(*) FROM pg_stat_activity WHERE {asked}') > 0


def test_a_failure_there_is_a_read_here(pair):
    """In this process, with everything that comes of it."""
    ben = pair.user('ben')
    pair.near()
    pair.replica.kill()
    try:
        assert ben.get('/api/posts')['items'] == []
        assert not pair.watch.is_near()
        assert ben.get('/api/users')['_meta']['total_items'] == 1
    finally:
        pair.replica.start()
    pair.near()
    assert ben.get('/api/posts')['items'] == []
