"""Which requests read from the replica and which from the primary, and that an outage of it fails no request."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from api.app import create_app
from api.db import replica as module
from api.db.replica import Replica
from api.db.session import db
from config import Settings
from support import databases
from support.postgresql_cluster import Cluster
from support.replication import replicated_clusters
from support.servers import start_server
from tests.support.client import PASSWORD, basic


class Pair(NamedTuple):
    primary: Cluster
    replica: Cluster
    app: Flask

    @property
    def watch(self) -> Replica:
        return self.app.extensions['replica']

    def user(self, name: str) -> 'User':
        """Register a user with a token, whose last write was 100 seconds ago."""
        client = self.app.test_client()
        registration = {'username': name, 'email': f'{name}@example.com', 'password': PASSWORD}
        id = client.post('/api/users', json=registration).json['id']
        token = client.post('/api/tokens', headers=basic(name, PASSWORD)).json['token']
        self.age(id, 100)
        return User(id, client, {'Authorization': f'Bearer {token}'})

    def age(self, id: int, seconds: int) -> None:
        """Set a user's last write to this many seconds ago."""
        self.primary.execute(f"UPDATE users SET last_write_at = now() - interval '{seconds}s' WHERE id = {id}")
        self.wait_for_replay()

    def wait_for_replay(self) -> None:
        """Wait until the replica has replayed every change of the primary."""
        lsn = self.primary.ask('SELECT pg_current_wal_lsn()')
        until(lambda: self.replica.ask(f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'"))

    def wait_until_fresh(self) -> None:
        until(self.watch.is_fresh)


class User(NamedTuple):
    id: int
    client: FlaskClient
    headers: dict[str, str]

    def get(self, path: str) -> Any:
        response = self.client.get(path, headers=self.headers)
        assert response.status_code == 200, response.text
        return response.json

    def write(self, text: str, **others: Any) -> int:
        response = self.client.post('/api/posts', json={'text': text, **others}, headers=self.headers)
        assert response.status_code == 201, response.text
        return response.json['id']

    def sees(self, post: int, path: str = '/api/posts') -> bool:
        return post in [item['id'] for item in self.get(path)['items']]


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope='module')
def servers(starts_processes: None) -> Iterator[tuple[Cluster, Cluster]]:
    with replicated_clusters() as servers:
        databases.upgrade(servers[0].url('postgres'))
        yield servers


@pytest.fixture
def pair(servers: tuple[Cluster, Cluster], monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    monkeypatch.setattr(module, 'PROBE_INTERVAL', 0.1)
    primary, replica = servers
    app = create_app(
        Settings(
            database_url=primary.url('postgres'), database_replica_url=replica.url('postgres'), log_level='CRITICAL'
        )
    )
    pair = Pair(primary, replica, app)
    pair.wait_until_fresh()
    yield pair
    until(lambda: pair.watch._probe_lock.acquire(blocking=False))
    pair.watch.engine.dispose()
    databases.delete_all_rows(app)
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def paused(pair: Pair) -> Iterator[Pair]:
    """Yield the pair; `pause` stops the replay of the replica, which resumes afterwards."""
    yield pair
    pair.replica.execute('SELECT pg_wal_replay_resume()')
    pair.wait_for_replay()


def pause(pair: Pair) -> None:
    pair.wait_for_replay()
    pair.replica.execute('SELECT pg_wal_replay_pause()')
    until(lambda: pair.replica.ask('SELECT pg_get_wal_replay_pause_state()') == 'paused')


def test_recent_writers_read_from_the_primary(paused):
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


def test_numbered_collections_use_the_replica(paused):
    ana, ben = paused.user('ana'), paused.user('ben')
    pause(paused)
    assert ana.client.put(f'/api/me/following/{ben.id}', headers=ana.headers).status_code == 204
    followers = f'/api/users/{ben.id}/followers'
    assert [len(reader.get(followers)['items']) for reader in (ana, ben)] == [1, 0]
    counts = [[item['follower_count'] for item in reader.get('/api/users')['items']] for reader in (ana, ben)]
    assert counts == [[0, 1], [0, 0]]


def test_replica_is_used_a_minute_after_a_write(paused):
    ana, ben = paused.user('ana'), paused.user('ben')
    paused.age(ben.id, 50)
    pause(paused)
    post = ana.write('Hello!')
    assert ben.sees(post)
    paused.primary.execute(f"UPDATE users SET last_write_at = now() - interval '61s' WHERE id = {ben.id}")
    assert not ben.sees(post)


def test_creating_a_token_counts_as_a_write(pair):
    """Users who have just registered read from the primary, as the replica may not have their row yet."""
    client = pair.app.test_client()
    client.post('/api/users', json={'username': 'ana', 'email': 'ana@example.com', 'password': PASSWORD})
    assert pair.primary.ask('SELECT last_write_at FROM users') is None
    client.post('/api/tokens', headers=basic('ana', PASSWORD))
    assert pair.primary.ask("SELECT now() - last_write_at < interval '10s' FROM users")


def test_writes_are_recorded_every_ten_seconds(pair):
    ana = pair.user('ana')
    last_write = 'SELECT last_write_at FROM users'
    before = pair.primary.ask(last_write)
    dry = {**ana.headers, 'Prefer': 'dry-run'}
    assert ana.client.post('/api/posts', json={'text': 'Hello!'}, headers=dry).status_code == 201
    assert ana.client.post('/api/posts', json={'text': ''}, headers=ana.headers).status_code == 400
    assert pair.primary.ask(last_write) == before
    ana.write('Hello!')
    first = pair.primary.ask(last_write)
    assert first > before
    pair.age(ana.id, 8)
    before = pair.primary.ask(last_write)
    ana.write('Hello!')
    assert pair.primary.ask(last_write) == before
    pair.age(ana.id, 11)
    ana.write('Hello!')
    assert pair.primary.ask(last_write) >= first


def test_missing_row_on_replica_is_not_404(paused):
    ana, ben = paused.user('ana'), paused.user('ben')
    pause(paused)
    post = ana.write('Hello!')
    assert ben.get(f'/api/posts/{post}/replies')['items'] == []
    assert ben.client.get('/api/posts/999999/replies', headers=ben.headers).status_code == 404


def test_revoked_token_ends_at_once(paused):
    ana = paused.user('ana')
    pause(paused)
    assert ana.client.delete('/api/tokens', headers=ana.headers).status_code == 204
    assert ana.client.get('/api/posts', headers=ana.headers).status_code == 401


def test_lagging_replica_is_left_out(paused, monkeypatch):
    ana, ben = paused.user('ana'), paused.user('ben')
    pause(paused)
    until(paused.watch.is_fresh)
    post = ana.write('Hello!')
    assert not ben.sees(post)
    monkeypatch.setattr(module, 'monotonic', lambda: time.monotonic() + module.MAX_LAG)
    assert ben.sees(post)
    paused.replica.execute('SELECT pg_wal_replay_resume()')
    until(paused.watch.is_fresh)


def test_promoted_replica_is_not_read(pair):
    with pair.app.app_context():
        promoted = Replica(db.engine, db.engine)
    assert not promoted.is_fresh()
    until(lambda: promoted._is_down)
    assert not promoted.is_fresh()


@pytest.mark.process
def test_replica_crash_fails_no_request(pair):
    """The replica of a real server under load is killed and started again."""
    ben = pair.user('ben')
    ben.write('Hello!')
    pair.age(ben.id, 100)
    responses: list[int] = []
    stop = threading.Event()

    def read(server: Any) -> None:
        while not stop.is_set():
            responses.append(server.ask('GET', '/api/posts', **ben.headers).status)

    with start_server(pair.primary.url('postgres'), DATABASE_REPLICA_URL=pair.replica.url('postgres')) as server:
        readers = [threading.Thread(target=read, args=(server,)) for _ in range(4)]
        for reader in readers:
            reader.start()
        until(lambda: is_read(pair.replica))
        pair.replica.kill()
        count = len(responses)
        until(lambda: len(responses) > count + 100)
        pair.replica.start()
        until(lambda: is_read(pair.replica))
        stop.set()
        for reader in readers:
            reader.join()
    assert set(responses) == {200}


def test_frozen_replica_is_waited_for_once(pair, monkeypatch):
    ben = pair.user('ben')
    ben.get('/api/posts')
    until(lambda: pair.watch._probe_lock.acquire(blocking=False))  # no probe runs meanwhile
    used: list[object] = []
    event.listen(pair.watch.engine, 'checkout', lambda *connection: used.append(connection))
    try:
        with pair.replica.frozen():
            for _ in range(10):
                # Without the timeout of the connection this would hang.
                assert ben.get('/api/posts')['items'] == []
        assert len(used) == 1
    finally:
        pair.watch._probe_lock.release()
    pair.wait_until_fresh()


def is_read(server: Cluster) -> bool:
    """Return whether the application has read posts from this server."""
    condition = "application_name = 'microblog' AND query LIKE '%posts%'"
    return server.ask(f'SELECT count(*) FROM pg_stat_activity WHERE {condition}') > 0


def test_replica_failure_falls_back_to_the_primary(pair):
    """A failed read marks the replica as down, and reads use it again once it is back."""
    ben = pair.user('ben')
    pair.wait_until_fresh()
    pair.replica.kill()
    try:
        assert ben.get('/api/posts')['items'] == []
        assert not pair.watch.is_fresh()
        assert ben.get('/api/users')['_meta']['total_items'] == 1
    finally:
        pair.replica.start()
    pair.wait_until_fresh()
    assert ben.get('/api/posts')['items'] == []
