"""Posts, replies, likes and edit history."""

from typing import Any

from apifairy import authenticate, body, other_responses
from flask import Blueprint

from api.actions.likes import like_post, unlike_post
from api.actions.posts import create_post, delete_post, update_post
from api.db.selects import BoundSelect, PagedSelect
from api.http.auth import current_user, own_post, require_verified_email, token_auth
from api.http.conditional import conditional
from api.http.pagination.collections import paginated
from api.http.pagination.timelines import timeline
from api.http.request_body import MERGE_PATCH
from api.http.responses import NO_CONTENT, no_content_or_404, response
from api.http.view_spec import raises
from api.problems import REPLY_TARGET_NOT_FOUND
from api.queries.posts import get_like, get_post, list_likers, list_post_versions, list_posts, list_replies, list_thread
from api.schemas.posts import (
    PostCreateSchema,
    PostSchema,
    PostTimelineSchema,
    PostUpdateSchema,
    PostVersionTimelineSchema,
)
from api.schemas.users import UserCollectionSchema

posts = Blueprint('posts', __name__, url_prefix='/api/posts')


@posts.post('')
@authenticate(token_auth, role='posts:write')
@require_verified_email
@body(PostCreateSchema)
@response(PostSchema, 201)
@raises(REPLY_TARGET_NOT_FOUND)
def create(fields: dict[str, Any]) -> dict[str, Any]:
    """Create a post

    Up to 280 characters, counted as code points. With `reply_to_id`, the post is a reply to another post.
    """
    return create_post(actor=current_user().id, **fields)


@posts.get('')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
def index() -> PagedSelect:
    """List all posts

    Newest first.
    """
    return list_posts(current_user().id)


@posts.get('/<int:id>')
@authenticate(token_auth, role='posts:read')
@response(PostSchema)
def show(id: int) -> BoundSelect:
    """Get a post

    404 if the post was deleted.
    """
    return get_post(id, current_user().id)


@posts.put('/<int:id>')
@authenticate(token_auth, role='posts:write')
@own_post
@body(PostUpdateSchema)
@response(PostSchema)
@conditional
def update(changes: dict[str, Any], id: int) -> BoundSelect:
    """Update your post

    The previous text stays in the post's history, which all users can read.
    """
    update_post(id=id, **changes)
    return get_post(id, current_user().id)


@posts.patch('/<int:id>')
@authenticate(token_auth, role='posts:write')
@own_post
@body(PostUpdateSchema, 'merge_patch', MERGE_PATCH)
@response(PostSchema)
@conditional
def patch(changes: dict[str, Any], id: int) -> BoundSelect:
    """Update your post with a merge patch

    The same as `PUT`, with the standard method and media type for partial updates (RFC 7396).
    """
    update_post(id=id, **changes)
    return get_post(id, current_user().id)


@posts.delete('/<int:id>')
@authenticate(token_auth, role='posts:write')
@own_post
@conditional
def delete(id: int) -> tuple[str, int]:
    """Delete your post

    Replies to the post remain; their link `in_reply_to` becomes null.
    """
    delete_post(id=id)
    return NO_CONTENT


@posts.get('/<int:id>/history')
@authenticate(token_auth, role='posts:read')
@timeline(PostVersionTimelineSchema)
def history(id: int) -> PagedSelect:
    """List previous versions of a post

    Newest first. The current text is in the post itself.
    """
    return list_post_versions(id)


@posts.get('/<int:id>/replies')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
def replies(id: int) -> PagedSelect:
    """List the replies to a post

    Oldest first.
    """
    return list_replies(id, current_user().id)


@posts.get('/<int:id>/thread')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
def thread(id: int) -> PagedSelect:
    """Get the thread that leads to a post

    From the first post of the conversation to the post itself, which is the last.
    """
    return list_thread(id, current_user().id)


@posts.get('/<int:id>/likes')
@authenticate(token_auth, role='posts:read')
@paginated(UserCollectionSchema)
def likes(id: int) -> PagedSelect:
    """List users who like a post

    Newest like first.
    """
    return list_likers(id)


@posts.get('/<int:id>/like')
@authenticate(token_auth, role='posts:read')
@other_responses({404: 'You do not like the post, or the post does not exist.'})
def show_like(id: int) -> tuple[str, int]:
    """Check whether you like a post

    204 if you like the post, 404 if not.
    """
    return no_content_or_404(get_like(id, current_user().id))


@posts.put('/<int:id>/like')
@authenticate(token_auth, role='likes:write')
def like(id: int) -> tuple[str, int]:
    """Like a post

    Idempotent.
    """
    like_post(actor=current_user().id, id=id)
    return NO_CONTENT


@posts.delete('/<int:id>/like')
@authenticate(token_auth, role='likes:write')
def unlike(id: int) -> tuple[str, int]:
    """Unlike a post

    Idempotent.
    """
    unlike_post(actor=current_user().id, id=id)
    return NO_CONTENT
