"""Posts: written, answered, liked, changed and read."""

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
    """Write a post

    Up to 280 characters, counted as code points. With `reply_to_id` it answers another post.
    """
    return create_post(actor=current_user().id, **fields)


@posts.get('')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
def index() -> PagedSelect:
    """List everyone's posts

    The newest first.
    """
    return list_posts(current_user().id)


@posts.get('/<int:id>')
@authenticate(token_auth, role='posts:read')
@response(PostSchema)
def show(id: int) -> BoundSelect:
    """Show a post

    A post that was deleted is gone.
    """
    return get_post(id, current_user().id)


@posts.put('/<int:id>')
@authenticate(token_auth, role='posts:write')
@own_post
@body(PostUpdateSchema)
@response(PostSchema)
@conditional
def update(changes: dict[str, Any], id: int) -> BoundSelect:
    """Change your post

    What it said before is kept, and everyone may read it.
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
    """Change your post by a merge patch

    The same as `PUT`, under its standard name (RFC 7396).
    """
    update_post(id=id, **changes)
    return get_post(id, current_user().id)


@posts.delete('/<int:id>')
@authenticate(token_auth, role='posts:write')
@own_post
@conditional
def delete(id: int) -> tuple[str, int]:
    """Delete your post

    Its replies stay; they answer nothing any more.
    """
    delete_post(id=id)
    return NO_CONTENT


@posts.get('/<int:id>/history')
@authenticate(token_auth, role='posts:read')
@timeline(PostVersionTimelineSchema)
def history(id: int) -> PagedSelect:
    """List what a post said before

    The latest first. What it says now is in the post itself.
    """
    return list_post_versions(id)


@posts.get('/<int:id>/replies')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
def replies(id: int) -> PagedSelect:
    """List the replies to a post

    The oldest first.
    """
    return list_replies(id, current_user().id)


@posts.get('/<int:id>/thread')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
def thread(id: int) -> PagedSelect:
    """List what a post answers

    From the first post of the conversation to the post itself, which is the last.
    """
    return list_thread(id, current_user().id)


@posts.get('/<int:id>/likes')
@authenticate(token_auth, role='posts:read')
@paginated(UserCollectionSchema)
def likes(id: int) -> PagedSelect:
    """List who likes a post

    The latest like first.
    """
    return list_likers(id)


@posts.get('/<int:id>/like')
@authenticate(token_auth, role='posts:read')
@other_responses({404: 'You do not like it, or there is no such post.'})
def show_like(id: int) -> tuple[str, int]:
    """Tell whether you like a post

    By the status alone.
    """
    return no_content_or_404(get_like(id, current_user().id))


@posts.put('/<int:id>/like')
@authenticate(token_auth, role='likes:write')
def like(id: int) -> tuple[str, int]:
    """Like a post

    Again and again is as good as once.
    """
    like_post(actor=current_user().id, id=id)
    return NO_CONTENT


@posts.delete('/<int:id>/like')
@authenticate(token_auth, role='likes:write')
def unlike(id: int) -> tuple[str, int]:
    """Like a post no more

    Where you did not, nothing changes.
    """
    unlike_post(actor=current_user().id, id=id)
    return NO_CONTENT
