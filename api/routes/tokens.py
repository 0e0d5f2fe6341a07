"""Access tokens: how one gets in, and out again."""

from apifairy import authenticate
from flask import Blueprint

from api.actions.tokens import IssuedToken, issue_token, revoke_token
from api.edge.auth import basic_auth, current_user, token_auth
from api.edge.rendering import NO_CONTENT, response
from api.schemas.tokens import TokenSchema

tokens = Blueprint('tokens', __name__, url_prefix='/api/tokens')


@tokens.post('')
@authenticate(basic_auth)
@response(TokenSchema)
def create() -> IssuedToken:
    """Get a token

    It lives for an hour. Asking again gives the same token while it has more than a minute left, else a new one.
    """
    return issue_token(actor=current_user().id)


@tokens.delete('')
@authenticate(token_auth)
def delete() -> tuple[str, int]:
    """Revoke the token

    It ends at once: the next request with it is refused.
    """
    revoke_token(token_id=current_user().token_id)
    return NO_CONTENT
