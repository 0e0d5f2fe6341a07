"""Posts: written, answered, liked, changed and read."""

from typing import Any

from apifairy import authenticate, body, other_responses
from flask import Blueprint

from api.actions.likes import like_post, unlike_post
from api.actions.posts import delete_post, edit_post, write_post
from api.edge.answers import NO_CONTENT, found, response
from api.edge.auth import current_user, own_post, token_auth, verified
from api.edge.bodies import MERGE_PATCH
from api.edge.conditional import conditional
from api.edge.paging import paginated
from api.edge.timelines import timeline
from api.edge.views import fails
from api.problems import NOTHING_TO_REPLY_TO
from api.queries.posts import all_posts, get_post, is_liked, replies_to, thread_of, versions_of, who_likes
from api.queries.query import Listing, Query
from api.schemas.posts import (
    NewPostSchema,
    PostChangesSchema,
    PostSchema,
    PostTimelineSchema,
    PostVersionTimelineSchema,
)
from api.schemas.users import UserCollectionSchema

posts = Blueprint('posts', __name__, url_prefix='/api/posts')


@posts.post('')
@authenticate(token_auth, role='posts:write')
@verified
@body(NewPostSchema)
@response(PostSchema, 201)
@fails(NOTHING_TO_REPLY_TO)
def create(post: dict[str, Any]) -> dict[str, Any]:
    """Write a post

    Up to 280 characters, counted as code points. With `reply_to_id` it answers another post.
    """
    return write_post(actor=current_user().id, **post)


@posts.get('')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
def index() -> Listing:
    """List everyone's posts

    The newest first.
    """
    return all_posts(current_user().id)


@posts.get('/<int:id>')
@authenticate(token_auth, role='posts:read')
@response(PostSchema)
def show(id: int) -> Query:
    """Show a post

    A post that was deleted is gone.
    """
    return get_post(id, current_user().id)


@posts.put('/<int:id>')
@authenticate(token_auth, role='posts:write')
@own_post
@body(PostChangesSchema)
@response(PostSchema)
@conditional
def update(changes: dict[str, Any], id: int) -> Query:
    """Change your post

    What it said before is kept, and everyone may read it.
    """
    edit_post(id=id, **changes)
    return get_post(id, current_user().id)


@posts.patch('/<int:id>')
@authenticate(token_auth, role='posts:write')
@own_post
@body(PostChangesSchema, 'merge_patch', MERGE_PATCH)
@response(PostSchema)
@conditional
def patch(changes: dict[str, Any], id: int) -> Query:
    """Change your post by a merge patch

    The same as `PUT`, under its standard name (RFC 7396).
    """
    edit_post(id=id, **changes)
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
def history(id: int) -> Listing:
    """List what a post said before

    The latest first. What it says now is in the post itself.
    """
    return versions_of(id)


@posts.get('/<int:id>/replies')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
def replies(id: int) -> Listing:
    """List the replies to a post

    The oldest first.
    """
    return replies_to(id, current_user().id)


@posts.get('/<int:id>/thread')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
def thread(id: int) -> Listing:
    """List what a post answers

    From the first post of the conversation to the post itself, which is the last.
    """
    return thread_of(id, current_user().id)


@posts.get('/<int:id>/likes')
@authenticate(token_auth, role='posts:read')
@paginated(UserCollectionSchema)
def likes(id: int) -> Listing:
    """List who likes a post

    The latest like first.
    """
    return who_likes(id)


@posts.get('/<int:id>/like')
@authenticate(token_auth, role='posts:read')
@other_responses({404: 'You do not like it, or there is no such post.'})
def liked(id: int) -> tuple[str, int]:
    """Tell whether you like a post

    By the status alone.
    """
    return found(is_liked(id, current_user().id))


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
