"""A real server in a subprocess."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from support import process_groups

ROOT = Path(__file__).parents[1]


class ServerResponse(NamedTuple):
    status: int
    headers: dict[str, str]
    json: Any


class Server(NamedTuple):
    port: int
    process: subprocess.Popen[bytes]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> ServerResponse:
        """Send one request on a new connection and return the response."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=120)
        try:
            sent = {name.replace('_', '-'): value for name, value in headers.items()}
            if body is not None:
                sent.setdefault('Content-Type', 'application/json')
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            response = connection.getresponse()
            text = response.read()
            is_json = response.getheader('Content-Type', '').endswith('json')
            return ServerResponse(
                response.status, dict(response.getheaders()), json.loads(text) if text and is_json else None
            )
        finally:
            connection.close()


def free_port() -> int:
    """Return a free TCP port."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def start_server(database_url: str, *, stdout: int | None = None, **settings: str) -> Iterator[Server]:
    """Start `python -m api.server.web` on a free port, yield it when it responds, and stop it afterwards."""
    port = free_port()
    environment = {'ENVIRONMENT': 'development', 'DATABASE_URL': database_url, 'PORT': str(port), 'LOG_LEVEL': 'ERROR'}
    environment = os.environ | environment | settings
    process = process_groups.start([sys.executable, '-m', 'api.server.web'], cwd=ROOT, env=environment, stdout=stdout)
    server = Server(port, process)
    try:
        wait_until_ready(server)
        yield server
    finally:
        process_groups.stop(process)


def wait_until_ready(server: Server) -> None:
    """Wait until `/livez` responds. Raise AssertionError if the process ends or WAIT_TIMEOUT seconds pass."""
    deadline = time.monotonic() + process_groups.WAIT_TIMEOUT
    while server.process.poll() is None and time.monotonic() < deadline:
        try:
            if server.ask('GET', '/livez').status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError('the server does not respond')
