"""Fault: slow clients."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread

from chaos.findings import Findings
from chaos.load import Load
from chaos.stage import Stage, log_in
from support.servers import Server

CONNECTION_COUNT = 50
BYTE_INTERVAL = 0.2
BODY = b'{"text": "It takes me an age to say so, but I do"}'
HEAD = (
    'POST /api/posts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n'
    f'Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n'
)


def slow(stage: Stage, findings: Findings) -> None:
    stage.migrate()
    with stage.serving() as server:
        head = HEAD.format(log_in(server)).encode()
        with dribbling(server, b'', head[: len(BODY)]), dribbling(server, head, BODY) as bodies:
            with Load(stage, server) as load:
                time.sleep(len(BODY) * BYTE_INTERVAL - 2)
            answered = [connection.recv(12) for connection in bodies]
    written = answered.count(b'HTTP/1.1 201')
    findings.expect_only(load, 200, 201)
    findings.expect_within(1, load.outcomes, 'responses')
    findings.expect_nothing_lost(load)
    findings.expect(written == CONNECTION_COUNT, f'{written} slow bodies got 201')


@contextmanager
def dribbling(server: Server, at_once: bytes, slowly: bytes) -> Iterator[list[socket.socket]]:
    """Yield connections that send the first bytes at once and the others one by one."""
    with ExitStack() as stack:
        address = ('127.0.0.1', server.port)
        connections = [stack.enter_context(socket.create_connection(address)) for _ in range(CONNECTION_COUNT)]
        for connection in connections:
            connection.settimeout(30)
            connection.sendall(at_once)
        thread = Thread(target=dribble, args=(connections, slowly))
        thread.start()
        yield connections
        thread.join()


def dribble(connections: list[socket.socket], text: bytes) -> None:
    for byte in text:
        time.sleep(BYTE_INTERVAL)
        for connection in connections:
            connection.sendall(bytes([byte]))
