"""Your account: its password, its e-mail address, and a copy of what it has."""

from typing import Any

from apifairy import authenticate, body
from flask import Blueprint

from api.actions.passwords import change_password, check_reset, request_reset, reset_password
from api.actions.users import request_verification, verify_email
from api.edge.answers import NO_CONTENT, response
from api.edge.auth import confirm_password, current_user, token_auth
from api.edge.export import Part, exported
from api.edge.limits import EXPORT, PASSWORD, RESET, RESETS, VERIFICATION, limited
from api.edge.transaction import reading
from api.edge.views import fails
from api.problems import STALE_LINK, WRONG_PASSWORD
from api.queries.posts import liked_by, posts_by, versions_of
from api.queries.query import AnyRow
from api.queries.tokens import personal_tokens
from api.queries.users import followed_by, followers_of, get_user
from api.schemas.account import (
    AcceptedSchema,
    PasswordChangeSchema,
    ResetRequestSchema,
    ResetSchema,
    VerificationSchema,
)

account = Blueprint('account', __name__, url_prefix='/api')


@account.put('/me/password')
@authenticate(token_auth, role='account:manage')
@limited(PASSWORD)
@body(PasswordChangeSchema)
@fails(WRONG_PASSWORD)
def change(change: dict[str, Any]) -> tuple[str, int]:
    """Change your password

    Every other token of yours ends; the one that you call with goes on.
    """
    confirm_password('old_password', change['old_password'])
    caller = current_user()
    change_password(
        actor=caller.id,
        credentials_version=caller.credentials_version,
        token_id=caller.token_id,
        password=change['new_password'],
    )
    return NO_CONTENT


@account.post('/password-resets')
@limited(RESETS)
@body(ResetRequestSchema)
@limited(RESET)
@response(AcceptedSchema, 202)
def request(asked: dict[str, Any]) -> dict[str, str]:
    """Ask for a link to reset your password

    The answer is the same whether or not there is an account with this address. The link works for ten minutes, once.
    """
    request_reset(email=asked['email'])
    return {'message': 'if there is an account with this address, a link is on its way there'}


@account.put('/password-resets')
@body(ResetSchema)
@fails(STALE_LINK)
def reset(wanted: dict[str, Any]) -> tuple[str, int]:
    """Reset your password

    With the token from the link. Every token of yours ends, and the address counts as verified.
    """
    with reading():
        user = check_reset(wanted['token'])
    reset_password(user=user, password=wanted['new_password'])
    return NO_CONTENT


@account.post('/email-verifications')
@authenticate(token_auth, role='account:manage')
@limited(VERIFICATION)
@response(AcceptedSchema, 202)
def ask() -> dict[str, str]:
    """Ask for another link to verify your address

    One was sent when you registered, and when you changed the address. It works for a day.
    """
    request_verification(actor=current_user().id)
    return {'message': 'unless your address is verified already, a link is on its way there'}


@account.put('/email-verifications')
@body(VerificationSchema)
@fails(STALE_LINK)
def verify(shown: dict[str, Any]) -> tuple[str, int]:
    """Verify an address

    With the token from the link.
    """
    verify_email(token=shown['token'])
    return NO_CONTENT


@account.get('/me/export')
@authenticate(token_auth, role='account:export')
@limited(EXPORT)
@exported
def export() -> list[Part]:
    """Get a copy of everything that is yours

    A JSON object a line, as it is found: what comes or goes meanwhile may be in it or not.
    """
    id = current_user().id
    return [
        Part('user', get_user(id)),
        Part('token', personal_tokens(id)),
        Part('following', followed_by(id)),
        Part('follower', followers_of(id)),
        Part('post', posts_by(id, id), history_of),
        Part('like', liked_by(id, id)),
    ]


def history_of(post: AnyRow) -> list[Part]:
    return [Part('post_version', versions_of(post.id))] if post.edited_at else []
