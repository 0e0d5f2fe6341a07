"""Test whether a password reset reveals that an e-mail address is registered: `python -m benchmarks.reset_timing`.

On temporary SQLite and PostgreSQL databases, a real server gets reset requests for a registered and an unknown address,
a hundred each, alternately. Prints the medians and their difference, and whether the responses are identical except for
the values of their headers.
"""

import argparse
import http.client
import json
import os
import statistics
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import make_url

from support import databases
from support.servers import Server, start_server

REGISTRATION = {'username': 'ana', 'email': 'ana@example.com', 'password': 'correct horse battery'}
# Of equal length, so that the requests differ in nothing else.
ADDRESSES = {'known': 'ana@example.com', 'unknown': 'eva@example.com'}
MAX_DIFFERENCE = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=100)
    rounds = parser.parse_args().rounds
    with TemporaryDirectory() as folder:
        for urls in (databases.sqlite(Path(folder), 'resets'), databases.postgresql(f'microblog_resets_{os.getpid()}')):
            with closing(urls):
                url = next(urls)
                databases.upgrade(url)
                with start_server(url) as server:
                    compare(make_url(url).get_backend_name(), server, rounds)


def compare(database: str, server: Server, rounds: int) -> None:
    assert server.ask('POST', '/api/users', REGISTRATION).status == 201
    times: dict[str, list[float]] = {kind: [] for kind in ADDRESSES}
    responses: dict[str, set[Any]] = {kind: set() for kind in ADDRESSES}
    with closing(http.client.HTTPConnection('127.0.0.1', server.port, timeout=30)) as connection:
        for round in range(-10, rounds):
            for kind, email in ADDRESSES.items():
                milliseconds, response = ask(connection, email)
                responses[kind].add(response)
                if round >= 0:
                    times[kind].append(milliseconds)
    known, unknown = (statistics.median(values) for values in times.values())
    apart = abs(known / unknown - 1)
    verdict = '' if apart <= MAX_DIFFERENCE else ', too much'
    same = 'the same' if responses['known'] == responses['unknown'] and len(responses['known']) == 1 else 'DIFFERENT'
    print(f'{database:10} known {known:.2f} ms, unknown {unknown:.2f} ms, {apart:.1%} apart{verdict}; {same} answers')


def ask(connection: http.client.HTTPConnection, email: str) -> tuple[float, Any]:
    """Return the milliseconds until the response was read, and what must be equal: status, header names, body."""
    body = json.dumps({'email': email})
    began = time.perf_counter()
    connection.request('POST', '/api/password-resets', body, {'Content-Type': 'application/json'})
    response = connection.getresponse()
    content = response.read()
    milliseconds = (time.perf_counter() - began) * 1000
    assert response.status == 202, content
    return milliseconds, (response.status, tuple(name for name, _ in response.getheaders()), content)


if __name__ == '__main__':
    main()
