"""Personal access tokens: for programs of yours, with a name, an end, and scopes that say what they may do."""

from typing import Any

from apifairy import authenticate, body
from flask import Blueprint

from api.actions.tokens import change_personal_token, make_personal_token, revoke_personal_tokens
from api.edge.answers import NO_CONTENT, response
from api.edge.auth import current_user, token_auth
from api.edge.bodies import MERGE_PATCH
from api.edge.conditional import conditional
from api.edge.paging import paginated
from api.edge.views import fails
from api.problems import TOO_MANY_TOKENS, WIDENED_TOKEN
from api.queries.query import Listing, Query
from api.queries.tokens import get_personal_token, personal_tokens
from api.schemas.tokens import (
    MadeTokenSchema,
    NewPersonalTokenSchema,
    PersonalTokenChangesSchema,
    PersonalTokenCollectionSchema,
    PersonalTokenSchema,
)

personal = Blueprint('personal', __name__, url_prefix='/api/me/tokens')


@personal.post('')
@authenticate(token_auth, role='tokens:manage')
@body(NewPersonalTokenSchema)
@response(MadeTokenSchema, 201)
@fails(TOO_MANY_TOKENS)
def create(wanted: dict[str, Any]) -> dict[str, Any]:
    """Make a personal access token

    The answer shows its secret, once. It gets no scope that the token that you call with has not.
    """
    return make_personal_token(actor=current_user().id, maker=current_user().token_id, **wanted)


@personal.get('')
@authenticate(token_auth, role='tokens:manage')
@paginated(PersonalTokenCollectionSchema)
def index() -> Listing:
    """List your personal access tokens

    The newest first; those that have expired, too. Their secrets are not known any more.
    """
    return personal_tokens(current_user().id)


@personal.get('/<int:id>')
@authenticate(token_auth, role='tokens:manage')
@response(PersonalTokenSchema)
def show(id: int) -> Query:
    """Show a personal access token

    Its secret is not known any more.
    """
    return get_personal_token(id, current_user().id)


@personal.patch('/<int:id>')
@authenticate(token_auth, role='tokens:manage')
@body(PersonalTokenChangesSchema, 'merge_patch', MERGE_PATCH)
@response(PersonalTokenSchema)
@fails(WIDENED_TOKEN)
@conditional
def patch(changes: dict[str, Any], id: int) -> Query:
    """Rename or narrow a personal access token

    Scopes can be taken from it. None can be added, not even one that it had.
    """
    change_personal_token(actor=current_user().id, id=id, **changes)
    return get_personal_token(id, current_user().id)


@personal.delete('/<int:id>')
@authenticate(token_auth, role='tokens:manage')
@conditional
def delete(id: int) -> tuple[str, int]:
    """Revoke a personal access token

    It ends at once.
    """
    revoke_personal_tokens(actor=current_user().id, id=id)
    return NO_CONTENT


@personal.delete('')
@authenticate(token_auth, role='tokens:manage')
def delete_all() -> tuple[str, int]:
    """Revoke all your personal access tokens

    They end at once. Those that your password gave go on until they expire.
    """
    revoke_personal_tokens(actor=current_user().id)
    return NO_CONTENT
