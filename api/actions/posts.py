"""Creating, editing and deleting posts.

Rows are locked in one order: posts before users, each in id order. The id of a reply is higher than that of its parent.
"""

from typing import Any, cast

from sqlalchemy import Select, Table, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql

from api.clock import utcnow
from api.db.session import db
from api.errors import ApiError, NotFoundError, UnauthorizedError
from api.models import Post, PostVersion, User
from api.problems import REPLY_TARGET_NOT_FOUND

POST_INSERT_LOCK = 6_203_748_915
USERS, POSTS = cast(Table, User.__table__), cast(Table, Post.__table__)
INSERT_COLUMNS = ('author_id', 'text', 'reply_to_id', 'created_at')


def serialized_insert() -> Any:
    """Return an INSERT that waits until earlier inserts are committed, so that ids are assigned in commit order.

    Otherwise a client that polls for posts newer than an id would miss a post with a lower id that is committed later.
    SQLite needs no lock, because it allows one writer at a time.
    """
    lock = select(func.pg_advisory_xact_lock(POST_INSERT_LOCK)).subquery('turn')
    row: Select[Any] = select(*(bindparam(name, type_=POSTS.c[name].type) for name in INSERT_COLUMNS)).select_from(lock)
    return postgresql.insert(POSTS).from_select(list(INSERT_COLUMNS), row)


# Built once and without the ORM, which would look for objects to synchronize: that costs more than the statement.
INCREMENT_POST_COUNT = (
    update(USERS)
    .where(USERS.c.id == bindparam('actor'), USERS.c.disabled_at.is_(None))
    .values(post_count=USERS.c.post_count + 1)
    .returning(USERS.c.username, USERS.c.email)
)
INSERT_POST = {
    'sqlite': insert(POSTS).values({name: bindparam(name) for name in INSERT_COLUMNS}).returning(*POSTS.c),
    'postgresql': serialized_insert().returning(*POSTS.c),
}


def create_post(*, actor: int, text: str, reply_to_id: int | None = None) -> dict[str, Any]:
    """Create a post and return its columns as its author sees them.

    Raise ApiError if the parent does not exist, UnauthorizedError if the actor's account is deleted or disabled.
    """
    if reply_to_id is not None:
        increment_reply_count(reply_to_id)
    connection = db.session.connection()
    author = connection.execute(INCREMENT_POST_COUNT, {'actor': actor}).one_or_none()
    if author is None:
        raise UnauthorizedError
    values = {'author_id': actor, 'text': text, 'reply_to_id': reply_to_id, 'created_at': utcnow()}
    post = connection.execute(INSERT_POST[connection.dialect.name], values).one()
    return {**post._mapping, 'author_username': author.username, 'author_email': author.email, 'liked': False}


def increment_reply_count(id: int) -> None:
    statement = update(Post).where(Post.id == id).values(reply_count=Post.reply_count + 1)
    if not db.session.connection().execute(statement).rowcount:
        raise ApiError(REPLY_TARGET_NOT_FOUND, errors={'reply_to_id': ['There is no such post.']})


def update_post(*, id: int, text: str | None = None) -> None:
    """Change the text of a post and save the old text as a version. Raise NotFoundError if it does not exist."""
    post = lock_post(id)
    if text is None or text == post.text:
        return
    written_at = post.edited_at or post.created_at
    db.session.execute(insert(PostVersion).values(post_id=id, text=post.text, written_at=written_at))
    db.session.execute(update(Post).where(Post.id == id).values(text=text, edited_at=utcnow()))


def delete_post(*, id: int) -> None:
    """Delete a post. Its replies stay, without a parent. Raise NotFoundError if it does not exist."""
    parent = select(Post.reply_to_id).where(Post.id == id).scalar_subquery()
    posts = select(Post.id).where(or_(Post.id == id, Post.id == parent)).order_by(Post.id)
    db.session.execute(posts.with_for_update(key_share=True))
    post = lock_post(id)
    db.session.execute(delete(Post).where(Post.id == id))
    if post.reply_to_id is not None:
        parent_condition = Post.id == post.reply_to_id
        db.session.execute(update(Post).where(parent_condition).values(reply_count=Post.reply_count - 1))
    db.session.execute(update(User).where(User.id == post.author_id).values(post_count=User.post_count - 1))


def lock_post(id: int) -> Any:
    """Lock a post and return its row. Raise NotFoundError if it does not exist."""
    columns = (Post.author_id, Post.text, Post.created_at, Post.edited_at, Post.reply_to_id)
    post = db.session.execute(select(*columns).where(Post.id == id).with_for_update(key_share=True)).one_or_none()
    if post is None:
        raise NotFoundError
    return post
