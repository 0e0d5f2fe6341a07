"""Access tokens: log in and log out."""

from apifairy import authenticate
from flask import Blueprint

from api.actions.tokens import IssuedToken, issue_token, revoke_token
from api.db.selects import BoundSelect
from api.http.auth import basic_auth, current_user, token_auth
from api.http.rate_limit.limits import LOGIN_LIMIT, PASSWORD_LIMIT, rate_limited
from api.http.responses import NO_CONTENT, response
from api.queries.tokens import get_token
from api.schemas.tokens import CurrentTokenSchema, TokenSchema
from api.security import scopes

tokens = Blueprint('tokens', __name__, url_prefix='/api/tokens')


@tokens.post('')
@rate_limited(LOGIN_LIMIT, PASSWORD_LIMIT)
@authenticate(basic_auth)
@response(TokenSchema)
def create() -> IssuedToken:
    """Get an access token

    The token is valid for one hour. A repeated request returns the same token while it has more than one minute left,
    otherwise a new one.
    """
    return issue_token(actor=current_user().id, credentials_version=current_user().credentials_version)


@tokens.get('')
@authenticate(token_auth, role=scopes.ANY_SCOPE)
@response(CurrentTokenSchema)
def show() -> BoundSelect:
    """Get the current token

    Its scopes state which operations it allows.
    """
    return get_token(current_user().token_id)


@tokens.delete('')
@authenticate(token_auth, role=scopes.ANY_SCOPE)
def delete() -> tuple[str, int]:
    """Revoke the current token

    Takes effect immediately: the next request with this token returns 401.
    """
    revoke_token(token_id=current_user().token_id)
    return NO_CONTENT
