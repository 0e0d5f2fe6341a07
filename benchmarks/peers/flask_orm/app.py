"""Flask as in tutorials: APIFairy, marshmallow and ORM models; last_seen is updated at each request."""

import hashlib
import os
from datetime import UTC, datetime
from typing import Any

from apifairy import APIFairy, arguments, authenticate, body, response
from flask import Blueprint, Flask, abort, request
from flask_httpauth import HTTPTokenAuth
from sqlalchemy import event, exists, or_, select
from sqlalchemy.orm import joinedload, undefer_group, with_expression

from benchmarks.peers.cursors import encode_cursor
from benchmarks.peers.flask_orm.models import Follow, Like, Post, Token, User, db
from benchmarks.peers.flask_orm.schemas import (
    PageRequestSchema,
    PostSchema,
    PostTimelineSchema,
    UserPageSchema,
    UserSchema,
    ma,
)

DEEP = 1000

api = Blueprint('api', __name__, url_prefix='/api')
token_auth = HTTPTokenAuth()


def create_app() -> Flask:
    app = Flask(__name__)
    url = os.environ['DATABASE_URL']
    app.config['SQLALCHEMY_DATABASE_URI'] = url
    if url.startswith('postgresql'):
        arguments = {'application_name': os.environ['APPLICATION_NAME'], 'options': '-c timezone=UTC'}
        app.config['SQLALCHEMY_ENGINE_OPTIONS'] = {'connect_args': arguments}
    app.json.sort_keys = False
    app.json.ensure_ascii = False
    db.init_app(app)
    ma.init_app(app)
    APIFairy(app)
    app.register_blueprint(api)
    if url.startswith('sqlite'):
        with app.app_context():
            event.listen(db.engine, 'connect', lambda connection, _: connection.execute('PRAGMA synchronous=NORMAL'))
    return app


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@token_auth.verify_token
def verify_token(sent: str) -> User | None:
    digest = hashlib.sha256(sent.encode()).digest()
    token = db.session.scalar(select(Token).where(Token.digest == digest))
    if token is None or token.expires_at <= now() or token.user.disabled_at:
        return None
    token.user.last_seen = now()
    db.session.commit()
    return token.user


def paginated(query: Any, page: int, per_page: int, entity: Any = lambda row: row, **positions: str) -> dict[str, Any]:
    """Return a page by number. Links to deep pages also have a cursor, which this peer does not need."""
    found = db.paginate(query, page=page, per_page=per_page)
    deep = (page - 1) * per_page >= DEEP
    behind = f'&after={encode_cursor(request.path, found.items[-1].id)}' if deep and found.has_next else ''
    ahead = f'&before={encode_cursor(request.path, found.items[0].id)}' if deep else ''
    base = f'{request.path}?page='
    return {
        'items': [entity(row) for row in found.items],
        'meta': {'page': page, 'per_page': per_page, 'total_pages': found.pages, 'total_items': found.total},
        'links': {
            'self': f'{base}{page}&per_page={per_page}',
            'next': f'{base}{page + 1}&per_page={per_page}{behind}' if found.has_next else None,
            'prev': f'{base}{page - 1}&per_page={per_page}{ahead}' if found.has_prev else None,
        },
    }


@api.get('/users')
@authenticate(token_auth)
@arguments(PageRequestSchema)
@response(UserPageSchema)
def users(asked: dict[str, Any]) -> dict[str, Any]:
    return paginated(select(User).options(undefer_group('counts')).order_by(User.id), **asked)


@api.get('/users/<int:id>')
@authenticate(token_auth)
@response(UserSchema)
def user(id: int) -> User:
    return db.session.get(User, id, options=[undefer_group('counts')]) or abort(404)


@api.get('/users/<int:id>/followers')
@authenticate(token_auth)
@arguments(PageRequestSchema)
@response(UserPageSchema)
def followers(asked: dict[str, Any], id: int) -> dict[str, Any]:
    if db.session.get(User, id) is None:
        abort(404)
    query = select(Follow).where(Follow.followed_id == id).order_by(Follow.id.desc())
    query = query.options(joinedload(Follow.follower, innerjoin=True).undefer_group('counts'))
    return paginated(query, entity=lambda follow: follow.follower, **asked)


@api.get('/feed')
@authenticate(token_auth)
@arguments(PageRequestSchema)
@response(PostTimelineSchema)
def feed(asked: dict[str, Any]) -> dict[str, Any]:
    viewer, per_page = token_auth.current_user(), asked['per_page']
    followed = exists().where(Follow.follower_id == viewer.id, Follow.followed_id == Post.author_id)
    liked = exists().where(Like.post_id == Post.id, Like.user_id == viewer.id)
    query = select(Post).where(or_(Post.author_id == viewer.id, followed))
    query = query.options(joinedload(Post.author, innerjoin=True), with_expression(Post.liked, liked))
    found = db.session.scalars(query.order_by(Post.id.desc()).limit(per_page + 1)).all()
    posts, base = found[:per_page], f'{request.path}?per_page={per_page}'
    return {
        'items': posts,
        'meta': {'per_page': per_page},
        'links': {
            'self': base,
            'next': f'{base}&after={encode_cursor(request.path, posts[-1].id)}' if len(found) > per_page else None,
            'prev': f'{base}&before={encode_cursor(request.path, posts[0].id if posts else 0)}',
        },
    }


@api.post('/posts')
@authenticate(token_auth)
@body(PostSchema)
@response(PostSchema, 201)
def new_post(sent: dict[str, Any]) -> Post:
    post = Post(**sent, author=token_auth.current_user(), created_at=now())
    db.session.add(post)
    db.session.commit()
    post.liked = False
    return post


@api.get('/users/<int:id>/following', endpoint='following')
@api.get('/users/<int:id>/posts', endpoint='user_posts')
@api.get('/posts/<int:id>', endpoint='post')
@api.get('/posts/<int:id>/replies', endpoint='replies')
@api.get('/posts/<int:id>/likes', endpoint='likes')
def not_measured(id: int) -> None:
    """Define the targets of links that no case requests."""
    abort(501)


app = create_app()
