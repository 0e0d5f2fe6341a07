"""Clients with persistent connections, like those of HTTP libraries, and the outcomes of their requests."""

import http.client
import json
import math
import secrets
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Self

from chaos.stage import Stage, log_in
from support.servers import Server

REQUEST_INTERVAL = 0.01
PROBE_INTERVAL = 0.1
RETRY_DELAY = 0.05
CLIENT_TIMEOUT = 60
NO_RESPONSE, CLOSED = 0, -1
IN_PROGRESS = 409  # an earlier request with the same key, whose response was lost, is still in progress


class Outcome(NamedTuple):
    """The outcome of one request.

    status: NO_RESPONSE if the connection failed, with the error; CLOSED if a reused connection was closed at the moment
    of the request, which HTTP cannot rule out.
    """

    begun: float
    seconds: float
    method: str
    status: int
    error: str = ''
    retry_after: bool = False

    @property
    def ended(self) -> float:
        return self.begun + self.seconds


class Client:
    """A client with one persistent connection, which is reopened if it was closed."""

    def __init__(self, port: int, outcomes: list[Outcome], token: str = '') -> None:
        self.connection = http.client.HTTPConnection('127.0.0.1', port, timeout=CLIENT_TIMEOUT)
        self.outcomes = outcomes
        self.headers = {'Authorization': f'Bearer {token}'} if token else {}

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> int:
        begun = time.monotonic()
        sent = self.headers | {name.replace('_', '-'): value for name, value in headers.items()}
        self.leave_if_closed()
        served_before = self.connection.sock is not None
        try:
            if body is not None:
                sent['Content-Type'] = 'application/json'
            self.connection.request(method, path, None if body is None else json.dumps(body), sent)
            response = self.connection.getresponse()
            response.read()
            outcome = (response.status, '', response.getheader('Retry-After') is not None)
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            is_closed = served_before and isinstance(error, ConnectionError)
            outcome = (CLOSED if is_closed else NO_RESPONSE, type(error).__name__, False)
        self.outcomes.append(Outcome(begun, time.monotonic() - begun, method, *outcome))
        return outcome[0]

    def leave_if_closed(self) -> None:
        """Drop the connection if the server has closed it. HTTP libraries check this before they send, too."""
        if self.connection.sock and select.select([self.connection.sock], [], [], 0)[0]:
            self.connection.close()


class Load:
    """Writers and readers that run during the block. A post is retried with its key until it is acknowledged."""

    def __init__(self, stage: Stage, server: Server, writers: int = 4, readers: int = 4, *, keys: bool = True) -> None:
        self.stage, self.server, self.keys = stage, server, keys
        self.outcomes: list[Outcome] = []
        self.acknowledged: list[str] = []
        self.stopped = threading.Event()
        tokens = [log_in(server) for _ in range(max(writers, readers))]
        works = [(self.write, token) for token in tokens[:writers]] + [(self.read, token) for token in tokens[:readers]]
        self.threads = [threading.Thread(target=self.work, args=each, daemon=True) for each in works]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def work(self, step: Callable[[Client], None], token: str) -> None:
        client = Client(self.server.port, self.outcomes, token)
        while not self.stopped.wait(REQUEST_INTERVAL):
            step(client)
        client.connection.close()

    def read(self, client: Client) -> None:
        if client.ask('GET', '/api/posts?limit=5') != 200:
            self.stopped.wait(RETRY_DELAY)

    def write(self, client: Client) -> None:
        text = secrets.token_hex(12)
        headers = {'Idempotency_Key': text} if self.keys else {}
        while client.ask('POST', '/api/posts', {'text': text}, **headers) != 201:
            if self.stopped.wait(RETRY_DELAY):
                return
        self.acknowledged.append(text)

    def count(self, *statuses: int) -> int:
        return sum(outcome.status in statuses for outcome in self.outcomes)

    def others(self, *statuses: int) -> Counter[str]:
        """Return the number of requests by error or status, for all other statuses."""
        return Counter(each.error or str(each.status) for each in self.outcomes if each.status not in statuses)

    def seconds_until_written(self, moment: float) -> float:
        """Return the seconds from the moment to the first acknowledgement of a post sent after it."""
        written = (each.ended for each in self.outcomes if each.status == 201 and each.begun >= moment)
        return min(written, default=math.inf) - moment

    def lost(self) -> int:
        """Return the number of acknowledged posts that do not exist exactly once."""
        posts = self.stage.posts()
        return sum(posts[text] != 1 for text in self.acknowledged)


@contextmanager
def watching(server: Server, path: str) -> Iterator[list[Outcome]]:
    """Request a path every PROBE_INTERVAL seconds during the block, and yield the outcomes."""
    outcomes: list[Outcome] = []
    stopped = threading.Event()

    def watch() -> None:
        client = Client(server.port, outcomes)
        while not stopped.wait(PROBE_INTERVAL):
            client.ask('GET', path)
        client.connection.close()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield outcomes
    finally:
        stopped.set()
        thread.join()
