"""Measure the effect of more web processes and a replica: `python -m benchmarks.scaling`.

Starts a temporary PostgreSQL with sample data and a replica, and a Redis. Eight clients send requests to real servers,
one configuration after the other in each round: nine of ten users only read, mostly their feeds, and the tenth writes a
post in every second request. Prints requests per second and CPU milliseconds per request of web processes, primary and
replica, as medians of the rounds. Clients and servers share the machine, so compare the CPU.
"""

import argparse
import http.client
import json
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from api.app import create_app
from benchmarks.measure import bearer_of
from benchmarks.wsgi_servers import TICK, stat_fields
from config import Settings
from support import databases
from support.postgresql_cluster import Cluster
from support.redis_server import redis_server
from support.replication import replicated_clusters
from support.servers import Server, start_server

SEED = {'users': 20_000, 'follows': 200_000, 'posts': 500_000, 'likes': 500_000}
CALLERS, CLIENTS = 200, 8
REQUEST_SEQUENCE = ('/api/feed',) * 6 + (
    '/api/posts',
    '/api/users/{}',
    '/api/users/{}/followers',
    '/api/users/{}/posts',
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--requests', type=int, default=1600, help='per round and configuration')
    options = parser.parse_args()
    with ExitStack() as stack:
        primary, replica = stack.enter_context(replicated_clusters())
        redis = stack.enter_context(redis_server(Path(stack.enter_context(TemporaryDirectory()))))
        bearers = fill(primary)
        shared = {'RATELIMIT_ENABLED': 'true', 'RATELIMIT_STORAGE_URI': redis.uri}
        there = {'DATABASE_REPLICA_URL': replica.url('postgres')}
        settings = {
            '1 process': shared,
            '2 processes': shared | {'WEB_WORKERS': '2'},
            '1 process, replica': shared | there,
            '2 processes, replica': shared | there | {'WEB_WORKERS': '2'},
        }
        url = primary.url('postgres')
        servers = {name: stack.enter_context(start_server(url, **chosen)) for name, chosen in settings.items()}
        measured: dict[str, list[Any]] = {name: [] for name in servers}
        for round in range(-1, options.rounds):
            for name, server in servers.items():
                spent = batch(server, primary, replica, bearers, options.requests)
                if round >= 0:
                    measured[name].append(spent)
        print(f'{"":22} requests/s   web ms  primary ms  replica ms')
        for name, rounds in measured.items():
            rate, web, first, second = (statistics.median(values) for values in zip(*rounds))
            print(f'{name:22} {rate:10.0f} {web:8.2f} {first:11.2f} {second:11.2f}')


def fill(primary: Cluster) -> list[dict[str, str]]:
    """Return the credentials of that many callers."""
    databases.upgrade(primary.url('postgres'))
    app = create_app(Settings(database_url=primary.url('postgres'), log_level='ERROR'))
    with redirect_stdout(StringIO()):
        seeded = app.test_cli_runner().invoke(args=['seed', *(f'--{name}={number}' for name, number in SEED.items())])
    assert seeded.exit_code == 0, seeded.output
    return [bearer_of(app, id) for id in range(1, CALLERS + 1)]


def batch(
    server: Server, primary: Cluster, replica: Cluster, bearers: list[dict[str, str]], requests: int
) -> tuple[float, ...]:
    """Return requests per second, and CPU milliseconds per request of web processes, primary and replica."""
    pids = (server.process.pid, primary.process.pid, replica.process.pid)
    before, began, numbers = [cpu_of(pid) for pid in pids], time.perf_counter(), iter(range(requests))
    clients = [threading.Thread(target=ask, args=(server, bearers, numbers)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    seconds = time.perf_counter() - began
    return requests / seconds, *((cpu_of(pid) - spent) * 1000 / requests for pid, spent in zip(pids, before))


def ask(server: Server, bearers: list[dict[str, str]], numbers: Iterator[int]) -> None:
    with closing(http.client.HTTPConnection('127.0.0.1', server.port, timeout=60)) as connection:
        for number in numbers:
            caller = number % CALLERS
            turn = number // CALLERS + caller
            if caller % 10 == 0 and turn % 2:
                body = json.dumps({'text': f'Hello for the {number}th time!'})
                connection.request('POST', '/api/posts', body, {**bearers[caller], 'Content-Type': 'application/json'})
            else:
                connection.request(
                    'GET', REQUEST_SEQUENCE[turn % len(REQUEST_SEQUENCE)].format(caller + 1), headers=bearers[caller]
                )
            response = connection.getresponse()
            text = response.read()
            assert response.status in (200, 201), text


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process and all of its children, including ended ones."""
    fields = stat_fields(pid)
    children = Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
    return TICK * sum(map(int, fields[11:15])) + sum(cpu_of(int(child)) for child in children)


if __name__ == '__main__':
    main()
