"""Logs: a line for each request, with an id that the answer carries, too. Never a header, a query or a body of it."""

import logging
import os
import random
import re
import time
from logging.config import dictConfig

from flask import Request, g, has_request_context, request

from api.edge.application import Answer

log = logging.getLogger('api.requests')

# What is as long as a token is none of our ids: somebody may have put one there.
LONG_PART = re.compile(r'[^/]{32,}')

# What a proxy or client may give as the request's id: short, and nothing that could forge a line.
GIVEN_ID = re.compile(r'[A-Za-z0-9._-]{1,64}')

# They are no secret, so that the system need not be asked for each.
ids = random.Random()  # noqa: S311
os.register_at_fork(after_in_child=ids.seed)

REQUEST_ID, BEGAN = 'microblog.request_id', 'microblog.began'


class RequestIdFilter(logging.Filter):
    """Gives every record the id of the request that it belongs to."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request.environ.get(REQUEST_ID) if has_request_context() else None
        return True


def configure_logs(level: str, form: str) -> None:
    """form: 'json' for machines, 'text' for people."""
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
                'stderr': {'class': 'logging.StreamHandler', 'formatter': form, 'filters': ['request_id']},
            },
            'loggers': {'api': {'level': level, 'handlers': ['stderr'], 'propagate': False}},
        }
    )


def begin_request(request: Request) -> None:
    environ = request.environ
    given = environ.get('HTTP_X_REQUEST_ID')
    environ[REQUEST_ID] = given if given and GIVEN_ID.fullmatch(given) else f'{ids.getrandbits(64):016x}'
    environ[BEGAN] = time.perf_counter()


def log_request(request: Request, answer: Answer) -> None:
    answer.add_unchecked(('X-Request-ID', request.environ[REQUEST_ID]))
    if not log.isEnabledFor(logging.INFO):
        return
    milliseconds = round((time.perf_counter() - request.environ[BEGAN]) * 1000, 1)
    caller = g.get('flask_httpauth_user')
    facts = {
        'method': request.method,
        'path': LONG_PART.sub('...', request.path),
        'status': answer.status_code,
        'ms': milliseconds,
        'user': caller.id if caller else None,
        'address': request.remote_addr,
    }
    log.info('%(method)s %(path)s %(status)s %(ms)s ms', facts, extra=facts)
