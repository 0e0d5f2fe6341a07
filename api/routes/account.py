"""Your account: password, e-mail address and data export."""

from typing import Any

from apifairy import authenticate, body
from flask import Blueprint

from api.actions.passwords import change_password, find_user_for_reset, request_password_reset, reset_password
from api.actions.users import request_verification, verify_email
from api.db.selects import AnyRow
from api.http.auth import check_current_password, current_user, token_auth
from api.http.export import ExportPart, jsonl_export
from api.http.rate_limit.limits import (
    EXPORT_LIMIT,
    PASSWORD_LIMIT,
    RESET_ADDRESS_LIMIT,
    RESET_EMAIL_LIMIT,
    VERIFICATION_LIMIT,
    rate_limited,
)
from api.http.responses import NO_CONTENT, response
from api.http.unit_of_work import read_only
from api.http.view_spec import raises
from api.problems import INVALID_MAIL_TOKEN, WRONG_PASSWORD
from api.queries.posts import list_liked_posts, list_post_versions, list_user_posts
from api.queries.tokens import list_personal_tokens
from api.queries.users import get_user, list_followers, list_following
from api.schemas.account import (
    AcceptedSchema,
    EmailVerificationSchema,
    PasswordChangeSchema,
    PasswordResetRequestSchema,
    PasswordResetSchema,
)

account = Blueprint('account', __name__, url_prefix='/api')


@account.put('/me/password')
@authenticate(token_auth, role='account:manage')
@rate_limited(PASSWORD_LIMIT)
@body(PasswordChangeSchema)
@raises(WRONG_PASSWORD)
def update_password(fields: dict[str, Any]) -> tuple[str, int]:
    """Change your password

    Revokes all your other tokens. The token of this request remains valid.
    """
    check_current_password('old_password', fields['old_password'])
    caller = current_user()
    change_password(
        actor=caller.id,
        credentials_version=caller.credentials_version,
        token_id=caller.token_id,
        password=fields['new_password'],
    )
    return NO_CONTENT


@account.post('/password-resets')
@rate_limited(RESET_ADDRESS_LIMIT)
@body(PasswordResetRequestSchema)
@rate_limited(RESET_EMAIL_LIMIT)
@response(AcceptedSchema, 202)
def create_password_reset(fields: dict[str, Any]) -> dict[str, str]:
    """Request a password reset

    Sends a link by e-mail that works once, within ten minutes. The response is the same whether or not an account with
    this address exists.
    """
    request_password_reset(email=fields['email'])
    return {'message': 'if an account with this address exists, a link is on its way'}


@account.put('/password-resets')
@body(PasswordResetSchema)
@raises(INVALID_MAIL_TOKEN)
def confirm_password_reset(fields: dict[str, Any]) -> tuple[str, int]:
    """Reset your password

    Takes the token from the link. Revokes all your tokens and marks the e-mail address as verified.
    """
    with read_only():
        user = find_user_for_reset(fields['token'])
    reset_password(user=user, password=fields['new_password'])
    return NO_CONTENT


@account.post('/email-verifications')
@authenticate(token_auth, role='account:manage')
@rate_limited(VERIFICATION_LIMIT)
@response(AcceptedSchema, 202)
def create_email_verification() -> dict[str, str]:
    """Request another e-mail verification link

    A link is also sent when you register and when you change the address. It works for one day.
    """
    request_verification(actor=current_user().id)
    return {'message': 'unless your address is already verified, a link is on its way'}


@account.put('/email-verifications')
@body(EmailVerificationSchema)
@raises(INVALID_MAIL_TOKEN)
def confirm_email_verification(fields: dict[str, Any]) -> tuple[str, int]:
    """Verify an e-mail address

    Takes the token from the link.
    """
    verify_email(token=fields['token'])
    return NO_CONTENT


@account.get('/me/export')
@authenticate(token_auth, role='account:export')
@rate_limited(EXPORT_LIMIT)
@jsonl_export
def export() -> list[ExportPart]:
    """Export your account data

    Returns one JSON object per line. The export is not a snapshot: rows that are added or removed while it runs may or
    may not be included.
    """
    id = current_user().id
    return [
        ExportPart('user', get_user(id)),
        ExportPart('token', list_personal_tokens(id)),
        ExportPart('following', list_following(id)),
        ExportPart('follower', list_followers(id)),
        ExportPart('post', list_user_posts(id, id), post_history),
        ExportPart('like', list_liked_posts(id, id)),
    ]


def post_history(post: AnyRow) -> list[ExportPart]:
    return [ExportPart('post_version', list_post_versions(post.id))] if post.edited_at else []
