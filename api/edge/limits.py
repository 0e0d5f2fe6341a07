"""How often one may ask, stated beside each route: `@limited(...)`.

A limit counts within a window of time that begins with the first request. Answers tell how much is left, in the fields
of the IETF's draft (RateLimit-Policy, RateLimit).
"""

import hashlib
import math
from collections.abc import Callable
from functools import wraps
from ipaddress import IPv6Address, ip_address
from typing import Any, NamedTuple

from flask import Request, Response, current_app, g, request

from api.counters import Counters
from api.edge.views import note
from api.errors import ApiError
from api.problems import TOO_MANY_REQUESTS
from api.queries.users import folded

MINUTE, HOUR = 60, 3600
HEADERS = ('RateLimit-Policy', 'RateLimit')


class Limit(NamedTuple):
    """So many times within so many seconds for each key, which is made of the request and the view's arguments.

    A request without a key is not counted.
    """

    name: str
    times: int
    seconds: int
    key: Callable[..., str | None]

    @property
    def policy(self) -> str:
        return f'"{self.name}";q={self.times};w={self.seconds}'


def address(*args: Any, **kwargs: Any) -> str:
    """The client's, as trusted proxies tell it; of IPv6 the first 64 bits, because clients choose the others."""
    try:
        client = ip_address(request.remote_addr or '')
    except ValueError:
        return ''
    if isinstance(client, IPv6Address):
        return str(client.ipv4_mapped or IPv6Address(int(client) >> 64 << 64))
    return str(client)


def account(*args: Any, **kwargs: Any) -> str | None:
    """Whose password is tried: the caller's, or that of the name in the request; None where nobody has such a name."""
    caller = g.get('flask_httpauth_user')
    if caller:
        return folded(caller.username)
    try:
        sent = request.authorization
    except ValueError:
        return None
    return folded(sent.username or '') or None if sent and sent.type == 'basic' else None


def caller(*args: Any, **kwargs: Any) -> str:
    return str(g.flask_httpauth_user.id)


def new_address(changes: dict[str, Any], **kwargs: Any) -> str | None:
    """The caller's, where the body changes their e-mail address, because that sends mail: below `@body`."""
    changed = changes.get('email', '').lower() not in ('', g.flask_httpauth_user.email.lower())
    return caller() if changed else None


def email(body: dict[str, Any]) -> str:
    """The address in the body: below `@body`."""
    return str(body['email']).lower()


PASSWORD = Limit('password', 10, 5 * MINUTE, account)
LOG_IN = Limit('log-in', 25, 5 * MINUTE, address)
REGISTRATION = Limit('registration', 5, 30 * MINUTE, address)
RESET = Limit('reset', 5, 30 * MINUTE, email)
RESETS = Limit('resets', 100, 30 * MINUTE, address)
VERIFICATION = Limit('verification', 5, 30 * MINUTE, caller)
NEW_ADDRESS = Limit('new-address', 5, 30 * MINUTE, new_address)
EXPORT = Limit('export', 10, HOUR, caller)
TOKEN = Limit('token', 300, 5 * MINUTE, lambda token_id: str(token_id))


def limited(*limits: Limit) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For views: 429 beyond any of the limits. Above `authenticate` it comes before any password is looked at."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        note(view, limits=[*limits, *getattr(view, '_spec', {}).get('limits', [])])

        @wraps(view)
        def counted(*args: Any, **kwargs: Any) -> Any:
            for limit in limits:
                count(limit, *args, **kwargs)
            return view(*args, **kwargs)

        return counted

    return decorate


def count(limit: Limit, *args: Any, **kwargs: Any) -> None:
    """Counts the request. 429 where it is one too many."""
    counters: Counters | None = current_app.extensions['limits']
    if counters is None or (key := limit.key(*args, **kwargs)) is None:
        return
    hashed = hashlib.sha256(key.encode(errors='surrogateescape')).hexdigest()
    counted = counters.count(f'microblog/{limit.name}/{hashed}', limit.seconds)
    seconds = max(1, math.ceil(counted.seconds))
    g.setdefault('limits', []).append((limit, max(0, limit.times - counted.times), seconds))
    if counted.times > limit.times:
        raise ApiError(TOO_MANY_REQUESTS, headers={'Retry-After': str(seconds)})


def tell_limits(request: Request, answer: Response) -> None:
    if counted := g.get('limits'):
        answer.headers['RateLimit-Policy'] = ', '.join(limit.policy for limit, _, _ in counted)
        answer.headers['RateLimit'] = ', '.join(f'"{limit.name}";r={left};t={reset}' for limit, left, reset in counted)
