"""The export of an account: streamed as JSON lines, with memory use that does not depend on its size."""

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
    """Rows of one kind. `children` returns the parts that follow each row."""

    kind: str
    rows: BoundSelect | PagedSelect
    children: Callable[[AnyRow], Sequence['ExportPart']] = lambda row: ()


def jsonl_export(view: Callable[..., Sequence[ExportPart]]) -> Callable[..., Response]:
    """Decorate a view that returns parts: stream one JSON object per row while the rows are read."""
    annotate(view, response=ExportLineSchema(), status_code=200, description=None, media_type=JSON_LINES)

    @wraps(view)
    def stream(*args: Any, **kwargs: Any) -> Response:
        require_acceptable(JSON_LINES)
        body = stream_with_context(iter_lines(view(*args, **kwargs)))
        return Response(body, mimetype=JSON_LINES, headers=DOWNLOAD_HEADERS)

    return stream


def iter_lines(parts: Sequence[ExportPart]) -> Iterator[bytes]:
    """Yield a JSON line for each row, followed by the lines of its children."""
    for part_ in parts:
        schema = schemas[part_.kind]
        for rows in iter_batches(part_.rows, schema.columns):
            for row in rows:
                yield orjson.dumps({'kind': part_.kind, 'data': schema.compiled(row)}, option=orjson.OPT_APPEND_NEWLINE)
                yield from iter_lines(part_.children(row))


def iter_batches(rows: BoundSelect | PagedSelect, columns: tuple[str, ...]) -> Iterator[Sequence[AnyRow]]:
    """Yield all rows in batches. No database connection is held while a batch is sent to the client."""
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
