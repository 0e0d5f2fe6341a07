"""Authentication and ownership checks: HTTP Basic to get a token, bearer tokens for everything else."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import NamedTuple, NoReturn, ParamSpec, TypeVar, cast

from flask import current_app, g, request
from flask_httpauth import HTTPAuth, HTTPBasicAuth, HTTPTokenAuth
from werkzeug.datastructures import Authorization

from api.actions.passwords import rehash_password
from api.actions.tokens import record_scope_use, touch_token
from api.actions.users import touch_last_seen
from api.clock import utcnow
from api.db.selects import AnyRow
from api.errors import ApiError, InsufficientScopeError, NotFoundError, UnauthorizedError
from api.http.rate_limit import limits
from api.http.unit_of_work import is_dry_run, read_only
from api.http.view_spec import annotate_problems, view_spec
from api.policy import may_change_account, may_change_post, may_post
from api.problems import NOT_OWNER, UNVERIFIED_EMAIL, WRONG_PASSWORD
from api.queries.posts import get_post_author
from api.queries.tokens import find_caller
from api.queries.users import get_user, get_user_by_username, normalize_username
from api.security import scopes
from api.security.passwords import passwords
from api.security.token_formats import is_well_formed, parse_scopes, token_digest

P = ParamSpec('P')
R = TypeVar('R')


def parse_authorization(scheme: str) -> Authorization | None:
    """Return the parsed `Authorization` header, or None if it is missing, malformed or of another scheme."""
    try:
        # The same as `request.authorization`, whose header lookup costs as much as the parsing.
        authorization = Authorization.from_header(request.environ.get('HTTP_AUTHORIZATION'))
    except ValueError:  # raised by Werkzeug if the Basic credentials are not ASCII
        return None
    return authorization if authorization and authorization.type == scheme else None


class StrictAuth(HTTPAuth):  # type: ignore[misc]
    """Flask-HTTPAuth with `parse_authorization` as its parser."""

    def get_auth(self) -> Authorization | None:
        return parse_authorization(self.scheme.lower())

    def ensure_sync(self, f: Callable[P, R]) -> Callable[P, R]:
        # As in Application.ensure_sync: no view is asynchronous.
        return f


class StrictBasicAuth(StrictAuth, HTTPBasicAuth):  # type: ignore[misc]
    """HTTP Basic, to get a token."""


class StrictTokenAuth(StrictAuth, HTTPTokenAuth):  # type: ignore[misc]
    """Bearer tokens and their scopes."""

    def authorize(self, role: str | None, user: 'Caller', auth: Authorization) -> bool:
        """Return True if the token has the scope `role`, else raise InsufficientScopeError.

        A view without a role rejects every token. The first use of a scope by a personal access token is recorded.
        """
        if role == scopes.ANY_SCOPE:
            return True
        if role not in user.scopes:
            raise InsufficientScopeError(role or '')
        if user.used_scopes is not None and role not in user.used_scopes.split() and not is_dry_run():
            with read_only():
                record_scope_use(user.token_id, role)
        return True


basic_auth = StrictBasicAuth()
basic_auth.__doc__ = 'Username and password, only to get a token.'
token_auth = StrictTokenAuth()
token_auth.__doc__ = f"""
A token from `POST /api/tokens`, which has every permission, or a personal access token, which has only its scopes.

| Scope | Description |
|---|---|
{chr(10).join(f'| `{scope}` | {sentence} |' for scope, sentence in scopes.SCOPES.items())}
"""


class Caller(NamedTuple):
    """The authenticated user, and the token of the request, if it has one instead of a password.

    last_write_at: when the user last wrote, for reads from a replica. scopes: those that the token has. used_scopes:
    those whose use is already recorded, separated by spaces; None for session tokens, whose use is not tracked.
    """

    id: int
    username: str
    credentials_version: int
    email: str
    last_write_at: datetime | None
    email_verified: bool = False
    token_id: int | None = None
    scopes: frozenset[str] = frozenset()
    used_scopes: str | None = None


@basic_auth.verify_password
def verify_password(username: str, password: str) -> Caller | None:
    """Return the user with this username and password, or None.

    Update `last_seen`, and the hash if its parameters are outdated. An unknown username takes as long as a wrong
    password.
    """
    if not (username and password):
        return None
    columns = (
        'id',
        'username',
        'email',
        'password_hash',
        'credentials_version',
        'disabled_at',
        'last_seen',
        'last_write_at',
    )
    with read_only():
        user = get_user_by_username(normalize_username(username)).select_columns(columns).first()
    if not passwords.verify(user.password_hash if user else None, password) or user is None or user.disabled_at:
        return None
    if not is_dry_run():
        with read_only():
            touch_last_seen(user.id, user.last_seen)
            if passwords.needs_rehash(user.password_hash):
                rehash_password(user, password)
    return Caller(user.id, user.username, user.credentials_version, user.email, user.last_write_at)


@token_auth.verify_token
def verify_token(token: str) -> Caller | None:
    """Return the user of this token, or None. Raise a 429 if the token is over its rate limit.

    Update `last_seen` and, for a personal access token, its last use. The view's prefetch runs in the same statement.
    """
    if not is_well_formed(token):
        return None
    with read_only():
        row = find_caller_with_prefetch(token)
        if row is None:
            return None
        if not is_dry_run():
            touch_last_seen(row.id, row.last_seen)
            if row.scopes is not None:
                touch_token(row.token_id, row.last_used_at)
    limits.check_limit(limits.TOKEN_LIMIT, row.token_id)
    return Caller(
        row.id,
        row.username,
        row.credentials_version,
        row.email,
        row.last_write_at,
        row.email_verified,
        row.token_id,
        parse_scopes(row.scopes),
        None if row.scopes is None else row.used_scopes,
    )


def find_caller_with_prefetch(token: str) -> AnyRow | None:
    """Return the caller's row, or None.

    If the view declares `prefetch` (see api.http.responses), the same statement reads the row that the view will need.
    """
    caller = find_caller(token_digest(token), utcnow())
    prefetch = view_spec(request.endpoint).get('prefetch')
    return caller.first_with(prefetch(request.view_args)) if prefetch else caller.first()


@basic_auth.error_handler
@token_auth.error_handler
def raise_unauthorized(status: int) -> NoReturn:
    """Raise the 401 of the API instead of sending Flask-HTTPAuth's response."""
    raise UnauthorizedError


def www_authenticate() -> str:
    """Return the `WWW-Authenticate` value for the scheme of the requested view.

    Include `error="invalid_token"` if a bearer token was sent.
    """
    auth = view_spec(request.endpoint)['auth']
    header = str(auth.authenticate_header())
    authorization = parse_authorization('bearer')
    if auth is token_auth and authorization and (authorization.token or authorization.parameters):
        header += ', error="invalid_token"'
    return header


def check_current_password(field: str, password: str) -> None:
    """Raise a 400 for the body field `field` if its value is not the caller's password."""
    with read_only():
        user = get_user(current_user().id).select_columns(('password_hash',)).first()
    if not passwords.verify(user.password_hash if user else None, password):
        raise ApiError(WRONG_PASSWORD, errors={field: ['This is not your password.']})


def current_user() -> Caller:
    """Return the caller; only in views with `@authenticate`."""
    return cast(Caller, g.flask_httpauth_user)


def own_post(view: Callable[P, R]) -> Callable[P, R]:
    """Decorate a view to raise 403 unless the caller wrote the post in the URL, and 404 if there is no such post.

    Place it above `@body`, so that it runs before the body is validated.
    """
    annotate_problems(view, NOT_OWNER)

    @wraps(view)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with read_only():
            post = get_post_author(kwargs['id']).first()
        if post is None:
            raise NotFoundError
        if not may_change_post(current_user().id, post.author_id):
            raise ApiError(NOT_OWNER)
        return view(*args, **kwargs)

    return wrapper


def own_account(view: Callable[P, R]) -> Callable[P, R]:
    """Decorate a view to raise 403 unless the account in the URL is the caller's.

    Place it above `@body`, so that it runs before the body is validated.
    """
    annotate_problems(view, NOT_OWNER)

    @wraps(view)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        if not may_change_account(current_user().id, cast(int, kwargs['id'])):
            raise ApiError(NOT_OWNER)
        return view(*args, **kwargs)

    return wrapper


def require_verified_email(view: Callable[P, R]) -> Callable[P, R]:
    """Decorate a view to raise 403 if REQUIRE_VERIFIED_EMAIL is set and the caller's e-mail address is not verified.

    Place it above `@body`, so that it runs before the body is validated.
    """
    annotate_problems(view, UNVERIFIED_EMAIL)

    @wraps(view)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        required = current_app.config['REQUIRE_VERIFIED_EMAIL']
        if not may_post(email_verified=current_user().email_verified, required=required):
            raise ApiError(UNVERIFIED_EMAIL)
        return view(*args, **kwargs)

    return wrapper
