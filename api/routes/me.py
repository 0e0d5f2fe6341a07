"""The current user: own entry, feed and follows."""

from typing import Any

from apifairy import arguments, authenticate, other_responses
from flask import Blueprint

from api.actions.follows import follow_user, unfollow_user
from api.db.selects import BoundSelect, PagedSelect
from api.http.auth import current_user, token_auth
from api.http.pagination.timelines import timeline
from api.http.responses import NO_CONTENT, no_content_or_404, response
from api.http.view_spec import raises
from api.problems import CANNOT_FOLLOW_SELF
from api.queries.feed import feed_for
from api.queries.follows import get_follow, list_relationships
from api.queries.users import get_user
from api.schemas.posts import PostTimelineSchema
from api.schemas.relationships import RelationshipsRequestSchema, RelationshipsSchema
from api.schemas.users import OwnUserSchema

me = Blueprint('me', __name__, url_prefix='/api')


@me.get('/me')
@authenticate(token_auth, role='users:read')
@response(OwnUserSchema)
def show() -> BoundSelect:
    """Get the current user

    The same as `GET /api/users/<id>` with your own id.
    """
    return get_user(current_user().id)


@me.get('/feed')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
def feed() -> PagedSelect:
    """List your feed

    Your posts and the posts of users you follow, newest first.
    """
    return feed_for(current_user().id)


@me.get('/me/relationships')
@authenticate(token_auth, role='users:read')
@arguments(RelationshipsRequestSchema)
@response(RelationshipsSchema)
def relationships(arguments: dict[str, Any]) -> dict[str, Any]:
    """Get relationships with users

    Takes up to 100 ids.
    """
    return {'items': list_relationships(arguments['ids'], current_user().id).all()}


@me.get('/me/following/<int:id>')
@authenticate(token_auth, role='users:read')
@other_responses({404: 'You do not follow the user, or the user does not exist.'})
def show_following(id: int) -> tuple[str, int]:
    """Check whether you follow a user

    204 if you follow the user, 404 if not.
    """
    return no_content_or_404(get_follow(id, current_user().id))


@me.put('/me/following/<int:id>')
@authenticate(token_auth, role='follows:write')
@raises(CANNOT_FOLLOW_SELF)
def follow(id: int) -> tuple[str, int]:
    """Follow a user

    Idempotent.
    """
    follow_user(actor=current_user().id, id=id)
    return NO_CONTENT


@me.delete('/me/following/<int:id>')
@authenticate(token_auth, role='follows:write')
@raises(CANNOT_FOLLOW_SELF)
def unfollow(id: int) -> tuple[str, int]:
    """Unfollow a user

    Idempotent.
    """
    unfollow_user(actor=current_user().id, id=id)
    return NO_CONTENT
