"""Who is calling: HTTP Basic for a token, a bearer token for everything else."""

from collections.abc import Callable
from functools import wraps
from typing import NamedTuple, NoReturn, ParamSpec, TypeVar, cast

from flask import g, request
from flask_httpauth import HTTPBasicAuth, HTTPTokenAuth
from werkzeug.datastructures import Authorization

from api.actions.tokens import digest_of
from api.actions.users import note_seen
from api.clock import utcnow
from api.edge.transaction import reading
from api.errors import ApiError
from api.extensions import passwords
from api.policy import may_change_account, may_change_post
from api.queries.posts import author_of
from api.queries.tokens import find_caller
from api.queries.users import folded, get_user_by_name

P = ParamSpec('P')
R = TypeVar('R')


def sent_credentials(scheme: str) -> Authorization | None:
    """What the `Authorization` header says, read strictly; None where it is of another scheme, malformed or missing."""
    try:
        sent = request.authorization
    except ValueError:  # Werkzeug's, where Basic is followed by what is not ASCII
        return None
    return sent if sent and sent.type == scheme else None


class StrictBasicAuth(HTTPBasicAuth):  # type: ignore[misc]
    def get_auth(self) -> Authorization | None:
        return sent_credentials('basic')


class StrictTokenAuth(HTTPTokenAuth):  # type: ignore[misc]
    def get_auth(self) -> Authorization | None:
        return sent_credentials('bearer')


basic_auth = StrictBasicAuth()
basic_auth.__doc__ = 'Username and password, for a token only.'
token_auth = StrictTokenAuth()
token_auth.__doc__ = 'The token that `POST /api/tokens` gives.'


class Caller(NamedTuple):
    """Whoever sent the request. token_id: the token that they sent, None where it was a password."""

    id: int
    token_id: int | None = None


@basic_auth.verify_password
def verify_password(username: str, password: str) -> Caller | None:
    if not (username and password):
        return None
    with reading() as connection:
        user = get_user_by_name(folded(username)).only(('id', 'password_hash', 'last_seen')).first(connection)
    if not passwords.verify(user.password_hash if user else None, password) or user is None:
        return None
    with reading() as connection:
        note_seen(connection, user.id, user.last_seen)
    return Caller(user.id)


@token_auth.verify_token
def verify_token(token: str) -> Caller | None:
    with reading() as connection:
        caller = find_caller(digest_of(token), utcnow()).first(connection)
        if caller is None:
            return None
        note_seen(connection, caller.id, caller.last_seen)
    return Caller(caller.id, caller.token_id)


@basic_auth.error_handler
def basic_auth_failed(status: int) -> NoReturn:
    raise ApiError(status, headers={'WWW-Authenticate': basic_auth.authenticate_header()})


@token_auth.error_handler
def token_auth_failed(status: int) -> NoReturn:
    challenge = token_auth.authenticate_header()
    sent = sent_credentials('bearer')
    if sent and (sent.token or sent.parameters):
        challenge += ', error="invalid_token"'
    raise ApiError(status, headers={'WWW-Authenticate': challenge})


def current_user() -> Caller:
    """The caller, in a view with `@authenticate`."""
    return cast(Caller, g.flask_httpauth_user)


def own_post(view: Callable[P, R]) -> Callable[P, R]:
    """Lets only the author of the post in the URL pass. Above `@body`, whose errors come later."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        with reading() as connection:
            post = author_of(kwargs['id']).first(connection)
        if post is None:
            raise ApiError(404)
        if not may_change_post(current_user().id, post.author_id):
            raise ApiError(403)
        return view(*args, **kwargs)

    return guarded


def own_account(view: Callable[P, R]) -> Callable[P, R]:
    """Lets only the owner of the account in the URL pass. Above `@body`, whose errors come later."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if not may_change_account(current_user().id, cast(int, kwargs['id'])):
            raise ApiError(403)
        return view(*args, **kwargs)

    return guarded
