"""Posts, their authors and previous versions."""

from typing import Any

from marshmallow import fields, validate
from marshmallow_sqlalchemy import auto_field

from api.models import Post, PostVersion, User
from api.schemas.base import MAX_ID, RequestSchema, ResponseSchema
from api.schemas.collections import TimelineSchema
from api.schemas.embedded import Embedded
from api.schemas.links import Links
from api.schemas.users import AVATAR_URL

ID_METADATA: dict[str, Any] = {'minimum': 1, 'examples': [123]}
COUNT_METADATA: dict[str, Any] = {'minimum': 0, 'examples': [3], 'volatile': True}
TIMESTAMP_METADATA: dict[str, Any] = {'examples': ['2021-06-20T15:04:27+00:00']}
TEXT_METADATA: dict[str, Any] = {'minLength': 1, 'examples': ['Hello, world!']}


class AuthorSchema(ResponseSchema):
    """The author of a post."""

    class Meta(ResponseSchema.Meta):
        model = User

    id = auto_field(metadata=ID_METADATA)
    username = auto_field(metadata={'examples': ['susan']})
    links = Links('AuthorLinks', self='/api/users/{id}', avatar=AVATAR_URL)


class PostSchema(ResponseSchema):
    """A post, as seen by the caller."""

    class Meta(ResponseSchema.Meta):
        model = Post

    id = auto_field(metadata=ID_METADATA)
    text = auto_field(metadata=TEXT_METADATA)
    created_at = auto_field(metadata=TIMESTAMP_METADATA)
    edited_at = auto_field(metadata={'description': 'Null if the post was never edited.', **TIMESTAMP_METADATA})
    like_count = auto_field(metadata=COUNT_METADATA)
    reply_count = auto_field(metadata=COUNT_METADATA)
    liked = fields.Boolean(
        metadata={'description': 'Whether you like the post.', 'examples': [False], 'volatile': True}
    )
    author = Embedded(AuthorSchema, prefix='author_')
    links = Links(
        'PostLinks',
        self='/api/posts/{id}',
        author='/api/users/{author_id}',
        replies='/api/posts/{id}/replies',
        likes='/api/posts/{id}/likes',
        in_reply_to='/api/posts/{reply_to_id?}',
    )


class PostTimelineSchema(TimelineSchema):
    """A page of posts."""

    items = fields.Nested(PostSchema, many=True)


class PostVersionSchema(ResponseSchema):
    """A previous version of a post."""

    class Meta(ResponseSchema.Meta):
        model = PostVersion

    text = auto_field(metadata=TEXT_METADATA)
    written_at = auto_field(metadata=TIMESTAMP_METADATA)


class PostVersionTimelineSchema(TimelineSchema):
    """A page of previous versions of a post."""

    items = fields.Nested(PostVersionSchema, many=True)


class PostCreateSchema(RequestSchema):
    """A new post."""

    class Meta(RequestSchema.Meta):
        model = Post

    text = auto_field(validate=validate.Length(1, 280), metadata=TEXT_METADATA)
    reply_to_id = fields.Integer(
        strict=True,
        allow_none=True,
        validate=validate.Range(1, MAX_ID),
        metadata={'description': 'The id of the post that this one replies to.', 'format': 'int64', 'examples': [None]},
    )


class PostUpdateSchema(RequestSchema):
    """The changes to a post. Absent fields stay unchanged."""

    class Meta(RequestSchema.Meta):
        model = Post

    text = auto_field(required=False, validate=validate.Length(1, 280), metadata=TEXT_METADATA)
