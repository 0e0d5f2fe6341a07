"""Everything of somebody, line by line, in memory that does not grow with it."""

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any, NamedTuple

import orjson
from flask import Response, stream_with_context

from api.edge.negotiation import demand_acceptable
from api.edge.transaction import reading
from api.edge.views import note
from api.queries.query import AnyRow, Listing, Query
from api.schemas.export import SHAPES, ExportLineSchema

JSON_LINES = 'application/jsonl'
AS_A_FILE = {'Content-Disposition': 'attachment; filename="microblog.jsonl"'}
ROWS_AT_A_TIME = 500

schemas = {kind: schema() for kind, schema in SHAPES.items()}


class Part(NamedTuple):
    """Rows of a kind; `inner` gives the parts that follow each row."""

    kind: str
    rows: Query | Listing
    inner: Callable[[AnyRow], Sequence['Part']] = lambda row: ()


def exported(view: Callable[..., Sequence[Part]]) -> Callable[..., Response]:
    """For views that return parts: answers with a JSON object for each row, while they are read."""
    note(view, response=ExportLineSchema(), status_code=200, description=None, media_type=JSON_LINES)

    @wraps(view)
    def stream(*args: Any, **kwargs: Any) -> Response:
        demand_acceptable(JSON_LINES)
        body = stream_with_context(lines(view(*args, **kwargs)))
        return Response(body, mimetype=JSON_LINES, headers=AS_A_FILE)

    return stream


def lines(parts: Sequence[Part]) -> Iterator[bytes]:
    for part in parts:
        schema = schemas[part.kind]
        for rows in batches(part.rows, schema.members):
            for row in rows:
                yield orjson.dumps({'kind': part.kind, 'data': schema.compiled(row)}, option=orjson.OPT_APPEND_NEWLINE)
                yield from lines(part.inner(row))


def batches(rows: Query | Listing, members: tuple[str, ...]) -> Iterator[Sequence[AnyRow]]:
    """All rows, a few at a time. While these are sent no connection waits for the client."""
    if isinstance(rows, Query):
        yield read(rows.only(members).all)
        return
    position = None
    while batch := read(lambda: rows.beside(members, position, ROWS_AT_A_TIME)):  # noqa: B023
        yield batch
        position = batch[-1].position


def read(rows: Callable[[], Sequence[AnyRow]]) -> Sequence[AnyRow]:
    with reading():
        return rows()
