"""FastAPI with async SQLAlchemy and Pydantic, optimised: counter columns, no lazy loads, JSON by Pydantic."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import exists, or_, select, update
from sqlalchemy.orm import joinedload, with_expression

from benchmarks.peers.cursors import encode_cursor
from benchmarks.peers.fastapi_async import schemas
from benchmarks.peers.fastapi_async.database import Session
from benchmarks.peers.fastapi_async.models import Follow, Like, Post, Token, Total, User

DEEP = 1000
SEEN_AT_MOST_EVERY = timedelta(minutes=1)

app = FastAPI()
bearer = HTTPBearer()


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


async def current_user(session: Session, sent: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> User:
    digest = hashlib.sha256(sent.credentials.encode()).digest()
    query = select(User).join(Token, Token.user_id == User.id)
    user = await session.scalar(
        query.where(Token.digest == digest, Token.expires_at > now(), User.disabled_at.is_(None))
    )
    if user is None:
        raise HTTPException(401)
    if user.last_seen is None or now() - user.last_seen >= SEEN_AT_MOST_EVERY:
        user.last_seen = now()
        await session.commit()
    return user


CurrentUser = Annotated[User, Depends(current_user)]
PageNumber = Annotated[int, Query(ge=1)]
PerPage = Annotated[int, Query(ge=1, le=100)]


def user_page(
    path: str, users: Sequence[Any], positions: Sequence[int], total: int, page: int, per_page: int
) -> schemas.UserPage:
    """Return a page by number. Links to deep pages also have a cursor, which this peer does not need."""
    pages = -(-total // per_page)
    deep = (page - 1) * per_page >= DEEP
    behind = f'&after={encode_cursor(path, positions[-1])}' if deep else ''
    ahead = f'&before={encode_cursor(path, positions[0])}' if deep else ''
    links = schemas.Links(
        self=f'{path}?page={page}&per_page={per_page}',
        next=f'{path}?page={page + 1}&per_page={per_page}{behind}' if page < pages else None,
        prev=f'{path}?page={page - 1}&per_page={per_page}{ahead}' if page > 1 else None,
    )
    meta = schemas.PageMeta(page=page, per_page=per_page, total_pages=pages, total_items=total)
    return schemas.UserPage(items=users, _meta=meta, _links=links)


@app.get('/api/users')
async def users(
    request: Request, session: Session, caller: CurrentUser, page: PageNumber = 1, per_page: PerPage = 10
) -> schemas.UserPage:
    total = await session.scalar(select(Total.value).where(Total.name == 'users'))
    query = select(User).order_by(User.id).offset((page - 1) * per_page).limit(per_page)
    found = (await session.scalars(query)).all()
    return user_page(request.url.path, found, [user.id for user in found], total, page, per_page)


@app.get('/api/users/{id}', response_model=schemas.User)
async def user(id: int, session: Session, caller: CurrentUser) -> User:
    found = await session.get(User, id)
    if found is None:
        raise HTTPException(404)
    return found


@app.get('/api/users/{id}/followers')
async def followers(
    id: int, request: Request, session: Session, caller: CurrentUser, page: PageNumber = 1, per_page: PerPage = 10
) -> schemas.UserPage:
    total = await session.scalar(select(User.follower_count).where(User.id == id))
    if total is None:
        raise HTTPException(404)
    query = select(User, Follow.id).join(Follow, Follow.follower_id == User.id).where(Follow.followed_id == id)
    query = query.order_by(Follow.id.desc()).offset((page - 1) * per_page).limit(per_page)
    found = (await session.execute(query)).all()
    positions = [position for _, position in found]
    return user_page(request.url.path, [user for user, _ in found], positions, total, page, per_page)


@app.get('/api/feed')
async def feed(request: Request, session: Session, caller: CurrentUser, per_page: PerPage = 10) -> schemas.PostTimeline:
    # The form of the query that is fast on both databases, with few followees and with many.
    followed = exists().where(Follow.follower_id == caller.id, Follow.followed_id == Post.author_id)
    liked = exists().where(Like.post_id == Post.id, Like.user_id == caller.id)
    query = select(Post).where(or_(Post.author_id == caller.id, followed)).order_by(Post.id.desc()).limit(per_page + 1)
    query = query.options(joinedload(Post.author, innerjoin=True), with_expression(Post.liked, liked))
    found = (await session.scalars(query)).all()
    posts, path = found[:per_page], request.url.path
    base = f'{path}?per_page={per_page}'
    links = schemas.Links(
        self=base,
        next=f'{base}&after={encode_cursor(path, posts[-1].id)}' if len(found) > per_page else None,
        prev=f'{base}&before={encode_cursor(path, posts[0].id if posts else 0)}',
    )
    return schemas.PostTimeline(items=posts, _meta=schemas.TimelineMeta(per_page=per_page), _links=links)


@app.post('/api/posts', status_code=201, response_model=schemas.Post)
async def new_post(sent: schemas.NewPost, session: Session, caller: CurrentUser) -> Post:
    post = Post(**sent.model_dump(), author=caller, created_at=now(), liked=False)
    session.add(post)
    await session.execute(update(User).where(User.id == caller.id).values(post_count=User.post_count + 1))
    await session.commit()
    return post
