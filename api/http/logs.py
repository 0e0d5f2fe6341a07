"""Logging: one line per request, with the id that the response has in `X-Request-ID`.

Headers, query strings and bodies are never logged.
"""

import logging
import os
import random
import re
import time
from logging.config import dictConfig

from flask import Request, g, has_request_context, request

from api.http.application import ApiResponse

log = logging.getLogger('api.requests')

# A path segment as long as a token is not an id of the API. A client may have put a token into the URL.
LONG_SEGMENT = re.compile(r'[^/]{32,}')

# A request id from a proxy or client is accepted only if it is short and cannot forge a log line.
CLIENT_REQUEST_ID = re.compile(r'[A-Za-z0-9._-]{1,64}')

# Request ids are not secret, so a pseudo-random generator is enough and saves a system call for each.
request_ids = random.Random()  # noqa: S311
os.register_at_fork(after_in_child=request_ids.seed)

REQUEST_ID_KEY, STARTED_AT = 'microblog.request_id', 'microblog.started_at'


class RequestIdFilter(logging.Filter):
    """Filter that adds the id of the current request to every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request.environ.get(REQUEST_ID_KEY) if has_request_context() else None
        return True


def configure_logging(level: str, log_format: str) -> None:
    """Configure the logger `api`. log_format: 'json' for machines, 'text' for people."""
    text = '%(asctime)s %(levelname)s %(name)s %(message)s'
    dictConfig(
        {
            'version': 1,
            'disable_existing_loggers': False,
            'filters': {'request_id': {'()': RequestIdFilter}},
            'formatters': {
                'text': {'format': text},
                'json': {
                    '()': 'pythonjsonlogger.json.JsonFormatter',
                    'fmt': '%(levelname)s %(name)s %(message)s',
                    'timestamp': 'time',  # in UTC
                    'rename_fields': {'levelname': 'level', 'name': 'logger'},
                },
            },
            'handlers': {
                'stderr': {'class': 'logging.StreamHandler', 'formatter': log_format, 'filters': ['request_id']},
            },
            'loggers': {'api': {'level': level, 'handlers': ['stderr'], 'propagate': False}},
        }
    )


def start_request(request: Request) -> None:
    """Store the id and the start time of the request in its environ. Before-request hook."""
    environ = request.environ
    client_id = environ.get('HTTP_X_REQUEST_ID')
    environ[REQUEST_ID_KEY] = (
        client_id if client_id and CLIENT_REQUEST_ID.fullmatch(client_id) else f'{request_ids.getrandbits(64):016x}'
    )
    environ[STARTED_AT] = time.perf_counter()


def log_request(request: Request, response: ApiResponse) -> None:
    """Add `X-Request-ID` and log the request at level INFO. After-request hook."""
    response.add_unchecked(('X-Request-ID', request.environ[REQUEST_ID_KEY]))
    if not log.isEnabledFor(logging.INFO):
        return
    milliseconds = round((time.perf_counter() - request.environ[STARTED_AT]) * 1000, 1)
    caller = g.get('flask_httpauth_user')
    fields = {
        'method': request.method,
        'path': LONG_SEGMENT.sub('...', request.path),
        'status': response.status_code,
        'ms': milliseconds,
        'user': caller.id if caller else None,
        'address': request.remote_addr,
    }
    log.info('%(method)s %(path)s %(status)s %(ms)s ms', fields, extra=fields)
