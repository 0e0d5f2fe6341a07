"""Rate limits, declared on a view: `@rate_limited(...)`.

A limit counts requests in a fixed window that starts with the first request. Responses have the remaining quota in the
header fields of the IETF draft (RateLimit-Policy, RateLimit).
"""

import hashlib
import math
from collections.abc import Callable
from functools import wraps
from ipaddress import IPv6Address, ip_address
from typing import Any, NamedTuple

from flask import Request, Response, current_app, g, request

from api.errors import ApiError
from api.http.rate_limit.store import RateLimitStore
from api.http.view_spec import annotate
from api.problems import TOO_MANY_REQUESTS
from api.queries.users import normalize_username

MINUTE, HOUR = 60, 3600
RATE_LIMIT_HEADERS = ('RateLimit-Policy', 'RateLimit')


class RateLimit(NamedTuple):
    """A limit of `quota` requests in `window` seconds for each key.

    key: returns the key of the current request, given the view's arguments; None: the request is not counted.
    """

    name: str
    quota: int
    window: int
    key: Callable[..., str | None]

    @property
    def policy(self) -> str:
        """The item of the header RateLimit-Policy."""
        return f'"{self.name}";q={self.quota};w={self.window}'


def client_address(*args: Any, **kwargs: Any) -> str:
    """Return the client's address, as trusted proxies report it.

    Of an IPv6 address only the first 64 bits, because clients can choose the others.
    """
    try:
        client = ip_address(request.remote_addr or '')
    except ValueError:
        return ''
    if isinstance(client, IPv6Address):
        return str(client.ipv4_mapped or IPv6Address(int(client) >> 64 << 64))
    return str(client)


def account_key(*args: Any, **kwargs: Any) -> str | None:
    """Return the username whose password is checked: the caller's, or that of the Basic credentials; None if absent."""
    caller = g.get('flask_httpauth_user')
    if caller:
        return normalize_username(caller.username)
    try:
        authorization = request.authorization
    except ValueError:
        return None
    return (
        normalize_username(authorization.username or '') or None
        if authorization and authorization.type == 'basic'
        else None
    )


def caller_id(*args: Any, **kwargs: Any) -> str:
    return str(g.flask_httpauth_user.id)


def changed_email_key(changes: dict[str, Any], **kwargs: Any) -> str | None:
    """Return the caller's id if the body changes their e-mail address, which sends mail.

    Place the limit below `@body`.
    """
    is_changed = changes.get('email', '').lower() not in ('', g.flask_httpauth_user.email.lower())
    return caller_id() if is_changed else None


def body_email(body: dict[str, Any]) -> str:
    """Return the e-mail address in the body. Place the limit below `@body`."""
    return str(body['email']).lower()


PASSWORD_LIMIT = RateLimit('password', 10, 5 * MINUTE, account_key)
LOGIN_LIMIT = RateLimit('log-in', 25, 5 * MINUTE, client_address)
REGISTRATION_LIMIT = RateLimit('registration', 5, 30 * MINUTE, client_address)
RESET_EMAIL_LIMIT = RateLimit('reset', 5, 30 * MINUTE, body_email)
RESET_ADDRESS_LIMIT = RateLimit('resets', 100, 30 * MINUTE, client_address)
VERIFICATION_LIMIT = RateLimit('verification', 5, 30 * MINUTE, caller_id)
EMAIL_CHANGE_LIMIT = RateLimit('new-address', 5, 30 * MINUTE, changed_email_key)
EXPORT_LIMIT = RateLimit('export', 10, HOUR, caller_id)
TOKEN_LIMIT = RateLimit('token', 300, 5 * MINUTE, lambda token_id: str(token_id))


def rate_limited(*limits: RateLimit) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a view to raise 429 over any of the limits.

    Above `authenticate` it runs before any password is checked.
    """

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        annotate(view, limits=[*limits, *getattr(view, '_spec', {}).get('limits', [])])

        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            for limit in limits:
                check_limit(limit, *args, **kwargs)
            return view(*args, **kwargs)

        return wrapper

    return decorate


def check_limit(limit: RateLimit, *args: Any, **kwargs: Any) -> None:
    """Count the request. Raise 429 with `Retry-After` if it is over the limit."""
    store: RateLimitStore | None = current_app.extensions['limits']
    if store is None or (key := limit.key(*args, **kwargs)) is None:
        return
    hashed = hashlib.sha256(key.encode(errors='surrogateescape')).hexdigest()
    result = store.increment(f'microblog/{limit.name}/{hashed}', limit.window)
    seconds = max(1, math.ceil(result.reset_after))
    g.setdefault('limits', []).append((limit, max(0, limit.quota - result.hits), seconds))
    if result.hits > limit.quota:
        raise ApiError(TOO_MANY_REQUESTS, headers={'Retry-After': str(seconds)})


def add_rate_limit_headers(request: Request, response: Response) -> None:
    """Add the headers for the limits that counted this request. After-request hook."""
    if counted := g.get('limits'):
        response.headers['RateLimit-Policy'] = ', '.join(limit.policy for limit, _, _ in counted)
        response.headers['RateLimit'] = ', '.join(
            f'"{limit.name}";r={remaining};t={reset}' for limit, remaining, reset in counted
        )
