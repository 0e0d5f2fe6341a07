"""Tables: columns, constraints and indexes. Importing this package knows them all."""

from api.models.answers import KeptAnswer
from api.models.follows import Follow
from api.models.likes import Like
from api.models.outbox import Message
from api.models.posts import Post, PostVersion
from api.models.tokens import Token
from api.models.totals import Total
from api.models.users import User

__all__ = ['Follow', 'KeptAnswer', 'Like', 'Message', 'Post', 'PostVersion', 'Token', 'Total', 'User']
