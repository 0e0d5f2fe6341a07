"""The least that an application can do: bytes that were there before the request came."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# Of each path with its query the answer: status line and body.
answers = {
    path: (line, body.encode()) for path, (line, body) in json.loads(Path(os.environ['ANSWERS']).read_text()).items()
}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    query = environ['QUERY_STRING']
    line, body = answers[f'{environ["PATH_INFO"]}?{query}' if query else environ['PATH_INFO']]
    start_response(line, [('Content-Type', 'application/json'), ('Content-Length', str(len(body)))])
    return [body]
