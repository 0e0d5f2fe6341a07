"""A temporary Redis server that tests can kill, freeze and break."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis, RedisError

from support import databases, process_groups
from support.servers import free_port

REDIS_RETURN_TIMEOUT = 120


class RedisServer:
    """A Redis server on a free port, without persistence."""

    def __init__(self, folder: Any):
        self.folder = folder
        self.port = free_port()
        self.uri = f'redis://127.0.0.1:{self.port}/0'
        self.client = Redis(port=self.port, decode_responses=True)
        self.start()

    def start(self) -> None:
        options = {'port': self.port, 'bind': '127.0.0.1', 'save': '', 'daemonize': 'no', 'dir': self.folder}
        words = [word for name, value in options.items() for word in (f'--{name}', str(value))]
        self.process = process_groups.start(['redis-server', *words], stdout=subprocess.DEVNULL)
        assert wait_until(self.answers), 'Redis does not start'

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    def kill(self) -> None:
        process_groups.kill(self.process)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def run_out_of_memory(self) -> None:
        self.client.config_set('maxmemory', 1)

    def have_memory(self) -> None:
        self.client.config_set('maxmemory', 0)

    def become_a_replica(self) -> None:
        self.client.config_set('replica-serve-stale-data', 'yes')
        self.client.replicaof('127.0.0.1', '1')

    def become_the_master(self) -> None:
        self.client.replicaof('no', 'one')

    def all_keys(self) -> list[str]:
        return list(self.client.scan_iter())


@contextmanager
def redis_server(folder: Any) -> Iterator[RedisServer]:
    if shutil.which('redis-server') is None:
        databases.skip_unless_required('redis', 'redis-server is not installed')
    redis = RedisServer(folder)
    try:
        yield redis
    finally:
        redis.kill()
        redis.client.close()


def wait_until(true: Callable[[], bool], seconds: float = REDIS_RETURN_TIMEOUT) -> bool:
    """Return whether the condition becomes true within that time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
