"""Everything of somebody, line by line, in memory that does not grow with it."""

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any, NamedTuple

import orjson
from flask import Response, stream_with_context

from api.db.selects import AnyRow, BoundSelect, PagedSelect
from api.http.negotiation import require_acceptable
from api.http.unit_of_work import read_only
from api.http.view_spec import annotate
from api.schemas.export import EXPORT_SCHEMAS, ExportLineSchema

JSON_LINES = 'application/jsonl'
DOWNLOAD_HEADERS = {'Content-Disposition': 'attachment; filename="microblog.jsonl"'}
BATCH_SIZE = 500

schemas = {kind: schema() for kind, schema in EXPORT_SCHEMAS.items()}


class ExportPart(NamedTuple):
    """Rows of a kind; `children` gives the parts that follow each row."""

    kind: str
    rows: BoundSelect | PagedSelect
    children: Callable[[AnyRow], Sequence['ExportPart']] = lambda row: ()


def jsonl_export(view: Callable[..., Sequence[ExportPart]]) -> Callable[..., Response]:
    """For views that return parts: answers with a JSON object for each row, while they are read."""
    annotate(view, response=ExportLineSchema(), status_code=200, description=None, media_type=JSON_LINES)

    @wraps(view)
    def stream(*args: Any, **kwargs: Any) -> Response:
        require_acceptable(JSON_LINES)
        body = stream_with_context(iter_lines(view(*args, **kwargs)))
        return Response(body, mimetype=JSON_LINES, headers=DOWNLOAD_HEADERS)

    return stream


def iter_lines(parts: Sequence[ExportPart]) -> Iterator[bytes]:
    for part_ in parts:
        schema = schemas[part_.kind]
        for rows in iter_batches(part_.rows, schema.columns):
            for row in rows:
                yield orjson.dumps({'kind': part_.kind, 'data': schema.compiled(row)}, option=orjson.OPT_APPEND_NEWLINE)
                yield from iter_lines(part_.children(row))


def iter_batches(rows: BoundSelect | PagedSelect, columns: tuple[str, ...]) -> Iterator[Sequence[AnyRow]]:
    """All rows, a few at a time. While these are sent no connection waits for the client."""
    if isinstance(rows, BoundSelect):
        yield read_batch(rows.select_columns(columns).all)
        return
    cursor = None
    while batch := read_batch(lambda: rows.keyset_page(columns, cursor, BATCH_SIZE)):  # noqa: B023
        yield batch
        cursor = batch[-1].cursor


def read_batch(rows: Callable[[], Sequence[AnyRow]]) -> Sequence[AnyRow]:
    with read_only():
        return rows()
