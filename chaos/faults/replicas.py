"""Faults of a replica, while readers read and a writer looks for its own posts."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaos.findings import Findings
from chaos.load import Load
from chaos.stage import Stage, log_in
from support.postgresql_cluster import Cluster
from support.servers import Server

REPLICA_READS_QUERY = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'microblog' AND query LIKE '%FROM posts%'"
)
READ_TIMEOUT = 20
# Seconds: a connection to the replica or its response, during which two requests wait for the concurrency limiter.
RESPONSE_TIMEOUT = 3 + 3


def replica_killed(stage: Stage, findings: Findings) -> None:
    with reading(stage, findings) as (replica, server, token):
        findings.expect(is_read(replica), 'read before')
        replica.kill()
        findings.expect(*own_posts(server, token, 5))
        replica.start()
        findings.expect(is_read(replica), 'read afterwards')


def replica_frozen(stage: Stage, findings: Findings) -> None:
    with reading(stage, findings) as (replica, server, token):
        findings.expect(is_read(replica), 'read before')
        with replica.frozen():
            findings.expect(*own_posts(server, token, 10))


def replica_late(stage: Stage, findings: Findings) -> None:
    """Pause the replay for less time than after which the replica would be marked down."""
    with reading(stage, findings) as (replica, server, token):
        reader = log_in(server)
        forget_writes(stage)
        findings.expect(is_read(replica), 'read before')
        oldest_seen(server, reader)  # lets each process probe the replica
        time.sleep(1)
        replica.execute('SELECT pg_wal_replay_pause()')
        findings.expect(*own_posts(server, token, 10))
        behind = oldest_seen(server, token) - oldest_seen(server, reader)
        findings.expect(behind > 0, f'readers are {behind:,} posts behind')
        replica.execute('SELECT pg_wal_replay_resume()')


@contextmanager
def reading(stage: Stage, findings: Findings) -> Iterator[tuple[Cluster, Server, str]]:
    """Yield a replica, a server under load that reads from it, and the token of another writer."""
    stage.migrate()
    folder = stage.postgresql.folder / stage.folder.name
    replica = make_replica(folder, stage.postgresql)
    try:
        with stage.serving(DATABASE_REPLICA_URL=replica.url(stage.folder.name)) as server:
            token = log_in(server)
            with Load(stage, server, writers=1) as load:
                forget_writes(stage)
                yield replica, server, token
        findings.expect_only(load, 200, 201)
        findings.expect_within(RESPONSE_TIMEOUT, load.outcomes, 'responses')
        findings.expect_nothing_lost(load)
    finally:
        replica.kill()


def forget_writes(stage: Stage) -> None:
    """Delete the time of each user's last write. A login counts as a write, too."""
    stage.execute('UPDATE users SET last_write_at = NULL')


def make_replica(folder: Path, primary: Cluster) -> Cluster:
    folder.mkdir()
    return Cluster(folder, primary)


def is_read(replica: Cluster) -> bool:
    """Return whether the server reads from the replica within READ_TIMEOUT seconds.

    This looks at the last query of each connection, all of which were opened since the replica started.
    """
    deadline = time.monotonic() + READ_TIMEOUT
    while time.monotonic() < deadline:
        if replica.ask(REPLICA_READS_QUERY):
            return True
        time.sleep(0.1)
    return False


def posts(server: Server, token: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.ask('GET', '/api/posts', Authorization=f'Bearer {token}').json['items']
    return found


def oldest_seen(server: Server, token: str) -> int:
    """Return the newest visible post id of the process that lags most."""
    return min(int(posts(server, token)[0]['id']) for _ in range(20))


def own_posts(server: Server, token: str, seconds: float) -> tuple[bool, str]:
    """Write posts for that many seconds and look for each at once. Return whether all were found, and a figure."""
    missed, written, deadline = 0, 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        text = secrets.token_hex(12)
        server.ask('POST', '/api/posts', {'text': text}, Authorization=f'Bearer {token}')
        written += 1
        missed += text not in [post['text'] for post in posts(server, token)]
        time.sleep(0.05)
    return missed == 0, f'{missed} of {written:,} own posts not found at once'
