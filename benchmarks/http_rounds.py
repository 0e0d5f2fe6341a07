"""The cases over HTTP: a real server for each contender, with one worker, and a client with 8 connections."""

import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.contenders import CONTENDERS, ROOT, Contender
from benchmarks.rounds import Options, Spent, backends, prepared, spent_since, summed
from benchmarks.wsgi_servers import Client, free_port, in_threads, request_bytes, stat_fields

CONNECTIONS = 8
BATCH_SECONDS = 1.0
TICK = 1 / os.sysconf('SC_CLK_TCK')
# Idle servers stay open while the others are measured.
BLOCKING = '--blocking-threads 4 --blocking-threads-idle-timeout 600'.split()
GRANIAN = '--http 1 --host 127.0.0.1 --workers 1 --respawn-interval 3.5 --log-level warning'.split()


def measure_http(url: str, options: Options, folder: Path) -> list[dict[str, Any]]:
    """Return a result for each case."""
    with prepared(url, options.keys, folder) as (asked, responses, database), ExitStack() as stack:
        servers = [stack.enter_context(serving(contender, url, responses)) for contender in CONTENDERS]
        results = []
        for case in asked:
            takers = [server for server in servers if server.contender.takes(case, database)]
            results.append(run_alternately(case, takers, url, options.pairs))
        return results


class Server:
    def __init__(self, contender: Contender, process: 'subprocess.Popen[bytes]', port: int):
        self.contender, self.process, self.port = contender, process, port

    def pids(self) -> list[int]:
        main = self.process.pid
        return [main, *map(int, Path(f'/proc/{main}/task/{main}/children').read_text().split())]

    def cpu(self) -> float:
        """Return the CPU seconds of all its threads, to a hundredth."""
        return TICK * sum(int(number) for pid in self.pids() for number in stat_fields(pid)[11:13])


@contextmanager
def serving(contender: Contender, url: str, responses: Path) -> Iterator[Server]:
    """Run granian during the block, with the options of `python -m api.server.web`."""
    port = free_port()
    threads = BLOCKING if contender.interface == 'wsgi' else ['--loop', 'uvloop']
    how = ['--interface', contender.interface, '--port', str(port), *threads]
    command = [contender.python, '-m', 'granian', *GRANIAN, *how, f'{contender.module}:app']
    process = subprocess.Popen(command, cwd=ROOT, env=contender.settings(url, responses))
    try:
        yield Server(contender, process, port)
    finally:
        process.terminate()
        process.wait(timeout=20)


def run_alternately(case: Case, servers: list[Server], url: str, pairs: int) -> dict[str, Any]:
    loads = [Load(case, server, url) for server in servers]
    spent: Spent = {load.key: [] for load in loads}
    for _ in range(pairs):
        for load in loads:
            spent[load.key].append(load.run())
    result = {'key': case.key, 'name': case.name, 'request': f'{case.method} {case.path}', 'contenders': summed(spent)}
    for load in loads:
        result['contenders'][load.key]['per_second'] = round(statistics.median(load.rates), 1)
    print(f'    {case.name}: ' + ', '.join(f'{load.key} {statistics.median(load.rates):.0f}/s' for load in loads))
    return result


class Load:
    """One case, sent to one server by 8 clients at once."""

    def __init__(self, case: Case, server: Server, url: str):
        self.key, self.server, self.url, self.rates = server.contender.key, server, url, []
        body = (case.body or '').encode()
        headers = [f'Authorization: Bearer {case.request["token"]}', 'Accept: */*']
        self.request = request_bytes(case.method, case.path, headers, body)
        self.expected = 201 if case.method == 'POST' else 200
        self.wait()
        self.send(0.5)

    def wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                assert Client(self.server.port).exchange(self.request) == self.expected, self.key
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f'{self.server.contender.name} does not respond')

    def send(self, seconds: float) -> int:
        """Return the number of completed requests."""
        answered = []
        deadline = time.monotonic() + seconds

        def ask() -> None:
            client, count = Client(self.server.port, timeout=30), 0
            while time.monotonic() < deadline:
                assert client.exchange(self.request) == self.expected, self.key
                count += 1
            client.close()
            answered.append(count)

        in_threads(ask, CONNECTIONS)
        assert len(answered) == CONNECTIONS, f'{self.key} answered wrongly'
        return sum(answered)

    def run(self) -> tuple[float, float]:
        """Return the CPU seconds per request of the server and of its PostgreSQL processes."""
        process, before, began = self.server.cpu(), backends(self.url, self.server.contender), time.monotonic()
        answered = self.send(BATCH_SECONDS)
        self.rates.append(answered / (time.monotonic() - began))
        backend = spent_since(before, backends(self.url, self.server.contender))
        return (self.server.cpu() - process) / answered, backend / answered
