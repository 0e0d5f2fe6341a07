"""Tables: columns, constraints and indexes. Importing this package registers all of them."""

from api.models.follows import Follow
from api.models.idempotency import IdempotencyRecord
from api.models.jobs import Job
from api.models.likes import Like
from api.models.posts import Post, PostVersion
from api.models.table_counts import TableCount
from api.models.tokens import Token
from api.models.users import User

__all__ = ['Follow', 'IdempotencyRecord', 'Job', 'Like', 'Post', 'PostVersion', 'TableCount', 'Token', 'User']
