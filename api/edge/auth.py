"""Who is calling: HTTP Basic for a token, a bearer token for everything else."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import NamedTuple, NoReturn, ParamSpec, TypeVar, cast

from flask import current_app, g, request
from flask_httpauth import HTTPAuth, HTTPBasicAuth, HTTPTokenAuth
from werkzeug.datastructures import Authorization

from api import scopes
from api.actions.passwords import rehash_password
from api.actions.tokens import digest_of, is_well_formed, note_scope, note_used, scopes_of
from api.actions.users import note_seen
from api.clock import utcnow
from api.edge import limits
from api.edge.transaction import is_dry_run, reading
from api.edge.views import note_problems, notes_of
from api.errors import ApiError, InsufficientScopeError, NotFoundError, UnauthorizedError
from api.extensions import passwords
from api.policy import may_change_account, may_change_post, may_post
from api.problems import NOT_YOURS, UNVERIFIED_EMAIL, WRONG_PASSWORD
from api.queries.posts import author_of
from api.queries.query import AnyRow
from api.queries.tokens import find_caller
from api.queries.users import folded, get_user, get_user_by_name

P = ParamSpec('P')
R = TypeVar('R')


def sent_credentials(scheme: str) -> Authorization | None:
    """What the `Authorization` header says, read strictly; None where it is of another scheme, malformed or missing."""
    try:
        # As `request.authorization` does, whose look-up of the header costs as much as reading it.
        sent = Authorization.from_header(request.environ.get('HTTP_AUTHORIZATION'))
    except ValueError:  # Werkzeug's, where Basic is followed by what is not ASCII
        return None
    return sent if sent and sent.type == scheme else None


class StrictAuth(HTTPAuth):  # type: ignore[misc]
    def get_auth(self) -> Authorization | None:
        return sent_credentials(self.scheme.lower())

    def ensure_sync(self, f: Callable[P, R]) -> Callable[P, R]:
        # As in Application.
        return f


class StrictBasicAuth(StrictAuth, HTTPBasicAuth):  # type: ignore[misc]
    """Basic, for tokens."""


class StrictTokenAuth(StrictAuth, HTTPTokenAuth):  # type: ignore[misc]
    """Bearer tokens and their scopes."""

    def authorize(self, role: str | None, user: 'Caller', auth: Authorization) -> bool:
        """Whether the token has the scope. A view that names none lets nobody pass."""
        if role == scopes.ANY:
            return True
        if role not in user.scopes:
            raise InsufficientScopeError(role or '')
        if user.used_scopes is not None and role not in user.used_scopes.split() and not is_dry_run():
            with reading():
                note_scope(user.token_id, role)
        return True


basic_auth = StrictBasicAuth()
basic_auth.__doc__ = 'Username and password, for a token only.'
token_auth = StrictTokenAuth()
token_auth.__doc__ = f"""
The token that `POST /api/tokens` gives, which may do everything, or a personal access token, which has scopes.

| Scope | |
|---|---|
{chr(10).join(f'| `{scope}` | {sentence} |' for scope, sentence in scopes.SCOPES.items())}
"""


class Caller(NamedTuple):
    """Whoever sent the request, and what the token may that they sent; with a password there is none.

    used_scopes: those that were written down already; None for a token of which nobody wants to know.
    """

    id: int
    username: str
    credentials_version: int
    email: str
    wrote_at: datetime | None
    email_verified: bool = False
    token_id: int | None = None
    scopes: frozenset[str] = frozenset()
    used_scopes: str | None = None


@basic_auth.verify_password
def verify_password(username: str, password: str) -> Caller | None:
    if not (username and password):
        return None
    known = ('id', 'username', 'email', 'password_hash', 'credentials_version', 'disabled_at', 'last_seen', 'wrote_at')
    with reading():
        user = get_user_by_name(folded(username)).only(known).first()
    if not passwords.verify(user.password_hash if user else None, password) or user is None or user.disabled_at:
        return None
    if not is_dry_run():
        with reading():
            note_seen(user.id, user.last_seen)
            if passwords.is_outdated(user.password_hash):
                rehash_password(user, password)
    return Caller(user.id, user.username, user.credentials_version, user.email, user.wrote_at)


@token_auth.verify_token
def verify_token(token: str) -> Caller | None:
    if not is_well_formed(token):
        return None
    with reading():
        found = look_up(token)
        if found is None:
            return None
        if not is_dry_run():
            note_seen(found.id, found.last_seen)
            if found.scopes is not None:
                note_used(found.token_id, found.last_used_at)
    limits.count(limits.TOKEN, found.token_id)
    return Caller(
        found.id,
        found.username,
        found.credentials_version,
        found.email,
        found.wrote_at,
        found.email_verified,
        found.token_id,
        scopes_of(found.scopes),
        None if found.scopes is None else found.used_scopes,
    )


def look_up(token: str) -> AnyRow | None:
    """The caller, together with what the view will ask for, where that is known before the caller is."""
    caller = find_caller(digest_of(token), utcnow())
    foresee = notes_of(request.endpoint).get('foresee')
    return caller.first_along(foresee(request.view_args)) if foresee else caller.first()


@basic_auth.error_handler
@token_auth.error_handler
def refuse(status: int) -> NoReturn:
    raise UnauthorizedError


def challenge() -> str:
    """What a 401 says of the credentials that the view wants."""
    auth = notes_of(request.endpoint)['auth']
    header = str(auth.authenticate_header())
    sent = sent_credentials('bearer')
    if auth is token_auth and sent and (sent.token or sent.parameters):
        header += ', error="invalid_token"'
    return header


def confirm_password(member: str, password: str) -> None:
    """400 where it is not the caller's, who has sent it once more in this member of the body."""
    with reading():
        user = get_user(current_user().id).only(('password_hash',)).first()
    if not passwords.verify(user.password_hash if user else None, password):
        raise ApiError(WRONG_PASSWORD, errors={member: ['This is not your password.']})


def current_user() -> Caller:
    """The caller, in a view with `@authenticate`."""
    return cast(Caller, g.flask_httpauth_user)


def own_post(view: Callable[P, R]) -> Callable[P, R]:
    """Lets only the author of the post in the URL pass. Above `@body`, whose errors come later."""
    note_problems(view, NOT_YOURS)

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        with reading():
            post = author_of(kwargs['id']).first()
        if post is None:
            raise NotFoundError
        if not may_change_post(current_user().id, post.author_id):
            raise ApiError(NOT_YOURS)
        return view(*args, **kwargs)

    return guarded


def own_account(view: Callable[P, R]) -> Callable[P, R]:
    """Lets only the owner of the account in the URL pass. Above `@body`, whose errors come later."""
    note_problems(view, NOT_YOURS)

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if not may_change_account(current_user().id, cast(int, kwargs['id'])):
            raise ApiError(NOT_YOURS)
        return view(*args, **kwargs)

    return guarded


def verified(view: Callable[P, R]) -> Callable[P, R]:
    """Lets only those pass whose e-mail address is verified, where the settings demand it. Above `@body`."""
    note_problems(view, UNVERIFIED_EMAIL)

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        demanded = current_app.config['POSTING_NEEDS_VERIFIED_EMAIL']
        if not may_post(email_verified=current_user().email_verified, demanded=demanded):
            raise ApiError(UNVERIFIED_EMAIL)
        return view(*args, **kwargs)

    return guarded
