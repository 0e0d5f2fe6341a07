"""Personal access tokens: tokens for programs, each with a name, an expiry time and scopes."""

from typing import Any

from apifairy import authenticate, body
from flask import Blueprint

from api.actions.tokens import create_personal_token, revoke_personal_tokens, update_personal_token
from api.db.selects import BoundSelect, PagedSelect
from api.http.auth import current_user, token_auth
from api.http.conditional import conditional
from api.http.pagination.collections import paginated
from api.http.request_body import MERGE_PATCH
from api.http.responses import NO_CONTENT, response
from api.http.view_spec import raises
from api.problems import SCOPE_ESCALATION, TOO_MANY_TOKENS
from api.queries.tokens import get_personal_token, list_personal_tokens
from api.schemas.tokens import (
    CreatedTokenSchema,
    PersonalTokenCollectionSchema,
    PersonalTokenCreateSchema,
    PersonalTokenSchema,
    PersonalTokenUpdateSchema,
)

personal_access_tokens = Blueprint('personal_access_tokens', __name__, url_prefix='/api/me/tokens')


@personal_access_tokens.post('')
@authenticate(token_auth, role='tokens:manage')
@body(PersonalTokenCreateSchema)
@response(CreatedTokenSchema, 201)
@raises(TOO_MANY_TOKENS)
def create(fields: dict[str, Any]) -> dict[str, Any]:
    """Create a personal access token

    The response contains the token's secret, which is not shown again. The new token cannot have scopes that the token
    of this request lacks.
    """
    return create_personal_token(actor=current_user().id, creator_token_id=current_user().token_id, **fields)


@personal_access_tokens.get('')
@authenticate(token_auth, role='tokens:manage')
@paginated(PersonalTokenCollectionSchema)
def index() -> PagedSelect:
    """List your personal access tokens

    Newest first, including expired tokens. The secrets are not returned.
    """
    return list_personal_tokens(current_user().id)


@personal_access_tokens.get('/<int:id>')
@authenticate(token_auth, role='tokens:manage')
@response(PersonalTokenSchema)
def show(id: int) -> BoundSelect:
    """Get a personal access token

    The secret is not returned.
    """
    return get_personal_token(id, current_user().id)


@personal_access_tokens.patch('/<int:id>')
@authenticate(token_auth, role='tokens:manage')
@body(PersonalTokenUpdateSchema, 'merge_patch', MERGE_PATCH)
@response(PersonalTokenSchema)
@raises(SCOPE_ESCALATION)
@conditional
def patch(changes: dict[str, Any], id: int) -> BoundSelect:
    """Update a personal access token

    Renames the token or removes scopes. Scopes cannot be added, including scopes that were removed.
    """
    update_personal_token(actor=current_user().id, id=id, **changes)
    return get_personal_token(id, current_user().id)


@personal_access_tokens.delete('/<int:id>')
@authenticate(token_auth, role='tokens:manage')
@conditional
def delete(id: int) -> tuple[str, int]:
    """Revoke a personal access token

    Takes effect immediately.
    """
    revoke_personal_tokens(actor=current_user().id, id=id)
    return NO_CONTENT


@personal_access_tokens.delete('')
@authenticate(token_auth, role='tokens:manage')
def delete_all() -> tuple[str, int]:
    """Revoke all your personal access tokens

    Takes effect immediately. Tokens from `POST /api/tokens` remain valid until they expire.
    """
    revoke_personal_tokens(actor=current_user().id)
    return NO_CONTENT
