"""A limit: an application that returns prebuilt bytes."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# The response by caller and path with query.
answers = {asked: body.encode() for asked, body in json.loads(Path(os.environ['ANSWERS']).read_text()).items()}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = answers[f'{environ["HTTP_AUTHORIZATION"]} {environ["PATH_INFO"]}?{environ["QUERY_STRING"]}']
    start_response('200 OK', [('Content-Type', 'application/json'), ('Content-Length', str(len(body)))])
    return [body]
