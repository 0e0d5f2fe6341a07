"""Request bodies are read before the application is called."""

from io import BytesIO
from typing import Any

import pytest

from api.http.request_body import DRAIN_LIMIT, TRUNCATED, buffer_body

CHUNK = 64 * 1024


def read(body: bytes, limit: int) -> tuple[bytes, bool]:
    """Return what is kept of a body, and whether the rest was left unread."""
    environ: Any = {'CONTENT_LENGTH': str(len(body)), 'wsgi.input': BytesIO(body)}
    buffer_body(environ, limit)
    return environ['wsgi.input'].read(), environ[TRUNCATED]


@pytest.mark.parametrize('limit', [0, 10, CHUNK - 1, CHUNK, CHUNK + 10, 2 * CHUNK + 10])
def test_one_byte_over_the_limit_is_kept(limit: int) -> None:
    body = bytes(range(256)) * (4 * CHUNK // 256)
    assert read(body, limit) == (body[: limit + 1], False)


def test_a_body_within_the_limit_is_kept_whole() -> None:
    assert read(b'abc', 3) == (b'abc', False)


class ShortFirstRead(BytesIO):
    """A stream whose first read returns less than it was asked for."""

    def readinto(self, buffer: Any) -> int:
        return super().readinto(memoryview(buffer)[:-1] if self.tell() == 0 else buffer)


@pytest.mark.parametrize('stream_type', [BytesIO, ShortFirstRead])
@pytest.mark.parametrize(
    ('length', 'truncated'), [(DRAIN_LIMIT - 1, False), (DRAIN_LIMIT, True), (2 * DRAIN_LIMIT, True)]
)
def test_reading_stops_at_the_drain_limit(stream_type: type[BytesIO], length: int, truncated: bool) -> None:
    stream = stream_type(bytes(length))
    environ: Any = {'CONTENT_LENGTH': str(length), 'wsgi.input': stream}
    buffer_body(environ, 10)
    assert environ[TRUNCATED] is truncated
    assert stream.tell() <= DRAIN_LIMIT + CHUNK - 1
    if stream_type is BytesIO:
        assert stream.tell() == min(length, DRAIN_LIMIT)


def test_a_request_without_a_body_is_not_read() -> None:
    environ: Any = {'wsgi.input': None}
    buffer_body(environ, 10)
    assert environ == {'wsgi.input': None}
