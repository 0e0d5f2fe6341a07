"""Request and response models. Pydantic reads the attributes of the ORM models and writes the JSON."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, computed_field

from benchmarks.peers.avatars import avatar

# All contenders write times with +00:00, not Z.
Moment = Annotated[datetime, PlainSerializer(datetime.isoformat, return_type=str)]


class FromEntity(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class UserLinks(BaseModel):
    self: str
    followers: str
    following: str
    posts: str
    avatar: str


class User(FromEntity):
    id: int
    username: str
    last_seen: Moment | None
    about_me: str | None
    post_count: int
    follower_count: int
    following_count: int
    email: Annotated[str, Field(exclude=True)]

    @computed_field(alias='_links')
    def links(self) -> UserLinks:
        url = f'/api/users/{self.id}'
        return UserLinks(
            self=url,
            followers=f'{url}/followers',
            following=f'{url}/following',
            posts=f'{url}/posts',
            avatar=avatar(self.email),
        )


class AuthorLinks(BaseModel):
    self: str
    avatar: str


class Author(FromEntity):
    id: int
    username: str
    email: Annotated[str, Field(exclude=True)]

    @computed_field(alias='_links')
    def links(self) -> AuthorLinks:
        return AuthorLinks(self=f'/api/users/{self.id}', avatar=avatar(self.email))


class NewPost(BaseModel):
    text: Annotated[str, Field(min_length=1, max_length=280)]
    reply_to_id: int | None = None


class PostLinks(BaseModel):
    self: str
    author: str
    replies: str
    likes: str
    in_reply_to: str | None


class Post(FromEntity):
    id: int
    text: str
    created_at: Moment
    edited_at: Moment | None
    like_count: int
    reply_count: int
    liked: bool
    author: Author
    reply_to_id: Annotated[int | None, Field(exclude=True)]

    @computed_field(alias='_links')
    def links(self) -> PostLinks:
        url = f'/api/posts/{self.id}'
        return PostLinks(
            self=url,
            author=f'/api/users/{self.author.id}',
            replies=f'{url}/replies',
            likes=f'{url}/likes',
            in_reply_to=f'/api/posts/{self.reply_to_id}' if self.reply_to_id else None,
        )


class Links(BaseModel):
    self: str
    next: str | None
    prev: str | None


class PageMeta(BaseModel):
    page: int
    per_page: int
    total_pages: int
    total_items: int


class UserPage(BaseModel):
    items: list[User]
    meta: Annotated[PageMeta, Field(alias='_meta')]
    links: Annotated[Links, Field(alias='_links')]


class TimelineMeta(BaseModel):
    per_page: int


class PostTimeline(BaseModel):
    items: list[Post]
    meta: Annotated[TimelineMeta, Field(alias='_meta')]
    links: Annotated[Links, Field(alias='_links')]
