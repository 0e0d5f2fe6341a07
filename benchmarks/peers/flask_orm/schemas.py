"""Request and response schemas."""

from flask_marshmallow import Marshmallow
from marshmallow import validate

from benchmarks.peers.flask_orm.models import Post, User

ma = Marshmallow()


class UserLinksSchema(ma.Schema):
    self = ma.String()
    followers = ma.String()
    following = ma.String()
    posts = ma.String()
    avatar = ma.String()


class UserSchema(ma.SQLAlchemySchema):
    class Meta:
        model = User

    id = ma.auto_field()
    username = ma.auto_field()
    last_seen = ma.auto_field()
    about_me = ma.auto_field()
    post_count = ma.Integer()
    follower_count = ma.Integer()
    following_count = ma.Integer()
    links = ma.Nested(UserLinksSchema, data_key='_links')


class AuthorLinksSchema(ma.Schema):
    self = ma.String()
    avatar = ma.String()


class AuthorSchema(ma.SQLAlchemySchema):
    class Meta:
        model = User

    id = ma.auto_field()
    username = ma.auto_field()
    links = ma.Nested(AuthorLinksSchema, attribute='author_links', data_key='_links')


class PostLinksSchema(ma.Schema):
    self = ma.String()
    author = ma.String()
    replies = ma.String()
    likes = ma.String()
    in_reply_to = ma.String(allow_none=True)


class PostSchema(ma.SQLAlchemySchema):
    class Meta:
        model = Post

    id = ma.auto_field(dump_only=True)
    text = ma.auto_field(required=True, validate=validate.Length(1, 280))
    created_at = ma.auto_field(dump_only=True)
    edited_at = ma.auto_field(dump_only=True)
    like_count = ma.Integer(dump_only=True)
    reply_count = ma.Integer(dump_only=True)
    liked = ma.Boolean(dump_only=True)
    author = ma.Nested(AuthorSchema, dump_only=True)
    links = ma.Nested(PostLinksSchema, data_key='_links', dump_only=True)


class PageRequestSchema(ma.Schema):
    page = ma.Integer(load_default=1, validate=validate.Range(min=1))
    per_page = ma.Integer(load_default=10, validate=validate.Range(1, 100))
    after = ma.String()
    before = ma.String()


class LinksSchema(ma.Schema):
    self = ma.String()
    next = ma.String(allow_none=True)
    prev = ma.String(allow_none=True)


class PageMetaSchema(ma.Schema):
    page = ma.Integer()
    per_page = ma.Integer()
    total_pages = ma.Integer()
    total_items = ma.Integer()


class UserPageSchema(ma.Schema):
    items = ma.List(ma.Nested(UserSchema))
    meta = ma.Nested(PageMetaSchema, data_key='_meta')
    links = ma.Nested(LinksSchema, data_key='_links')


class TimelineMetaSchema(ma.Schema):
    per_page = ma.Integer()


class PostTimelineSchema(ma.Schema):
    items = ma.List(ma.Nested(PostSchema))
    meta = ma.Nested(TimelineMetaSchema, data_key='_meta')
    links = ma.Nested(LinksSchema, data_key='_links')
