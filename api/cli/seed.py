"""`flask seed`: reproducible sample data for development and benchmarks, with a realistic skew.

Follows, authors, replies and likes are drawn first and kept as plain numbers (8 bytes per follow or like, 20 per post),
so that users and posts can be written with their counters. The rows themselves are generated while they are loaded.
Each table has its own random generator, so more posts do not change the follows. Only the salt of the password hash
differs between runs.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from random import Random
from typing import Any, cast

import click
from flask.cli import with_appcontext
from sqlalchemy import Connection, Table, func, select, text, update

from api.cli.loading import BATCH_SIZE, write_rows
from api.db.base import Base
from api.db.engine import autocommit_engine, disable_timeouts
from api.db.session import db
from api.models import Follow, Like, Post, TableCount, User
from api.security.passwords import passwords

PASSWORD = 'sample battery staple'  # noqa: S105 (not a secret: it is printed)
MAX_FOLLOWED = 2_000
REPLIES, REPEAT_LIKE_SHARE = 0.2, 0.6
ID_MASK = 0xFFFFFFFF  # the lower id of a pair
# Users register in the first year. Their activity grows over the four years after it.
OPENED_AT, REGISTERED_BY, CLOSED_AT = (datetime(year, 1, 1, tzinfo=UTC) for year in (2021, 2022, 2026))

NAMES = ('ana', 'ben', 'chloe', 'david', 'elif', 'farid', 'grace', 'hugo', 'ines', 'kemal', 'maja', 'noah', 'yara')
SHORT_TEXTS = ('?', '👍', 'ok', 'Yes!', 'なるほど', 'Oh no…', 'Good morning ☀️', 'Łódź!')
SUBJECTS = ('I', 'We', 'My sister', 'Our neighbour Zoë', 'The whole team', 'Some stranger', 'Grandma', 'Everyone')
VERBS = (
    'finished',
    'lost',
    'found',
    'painted',
    'read about',
    'talked about',
    'fell asleep over',
    'forgot',
    'dreamt of',
)
OBJECTS = ('a crème brûlée', 'the bicycle', 'that book', 'a recipe', 'the garden', 'two concert tickets', 'the piano')
ENDINGS = ('.', ' today.', ' again!', ' before breakfast.', ' in the rain.', ' on the train to Kraków.', ' at last! 🎉')

USER_COLUMNS = (
    *('id', 'username', 'email', 'email_verified', 'password_hash', 'about_me', 'created_at', 'last_seen'),
    *('post_count', 'follower_count', 'following_count'),
)
FOLLOW_COLUMNS = ('id', 'follower_id', 'followed_id', 'created_at')
POST_COLUMNS = ('id', 'author_id', 'reply_to_id', 'text', 'created_at', 'like_count', 'reply_count')
LIKE_COLUMNS = ('id', 'user_id', 'post_id', 'created_at')


@click.command('seed')
@click.option('--users', default=100, show_default=True, type=click.IntRange(1))
@click.option('--follows', default=1_000, show_default=True, type=click.IntRange(0))
@click.option('--posts', default=2_000, show_default=True, type=click.IntRange(0))
@click.option('--likes', default=5_000, show_default=True, type=click.IntRange(0))
@with_appcontext
def seed_command(users: int, follows: int, posts: int, likes: int) -> None:
    """Fill an empty database with reproducible sample data."""
    if follows > (maximum := (users - 1) ** 2 + reader_follow_count(users, follows)):
        raise click.UsageError(f'{users} users can follow each other {maximum} times at most')
    if likes > users * posts:
        raise click.UsageError(f'{users} users can like {posts} posts {users * posts} times at most')
    people = draw_people(users)
    with db.engine.begin() as connection:
        lock_empty(connection)
        pairs = draw_follows(people, follows)
        authors, reply_targets, liked = (
            draw_authors(people, posts),
            draw_reply_targets(posts),
            draw_likes(people, posts, likes),
        )
        load(connection, User, USER_COLUMNS, user_rows(users, pairs, authors, liked), users)
        load(connection, Follow, FOLLOW_COLUMNS, follow_rows(pairs), follows)
        load(connection, Post, POST_COLUMNS, post_rows(authors, reply_targets, liked), posts)
        load(connection, Like, LIKE_COLUMNS, like_rows(liked, posts), likes)
        connection.execute(update(TableCount).where(TableCount.table_name == 'users').values(row_count=users))
        finish_load(connection)
    vacuum()
    click.echo(f'a normal user: {username(people[users // 2])}')
    click.echo(f'followed by a quarter of all: {username(people[0])}')
    click.echo(f'follows {reader_follow_count(users, follows)}: {username(people[-1])}')
    click.echo(f'password: {PASSWORD}')


def draw_people(users: int) -> list[int]:
    """Return the ids of all users, the most active first.

    The first is the hub, whom many follow. The last is the reader, who follows many and never posts.
    """
    people = list(range(1, users + 1))
    Random('people').shuffle(people)
    return people


def reader_follow_count(users: int, follows: int) -> int:
    """Return how many users the reader follows."""
    return min(MAX_FOLLOWED, users - 1, follows // 2)


def draw_follows(people: list[int], follows: int) -> Sequence[int]:
    """Return each follow as one number, follower * 2**32 + followed, in chronological order."""
    random = Random('follows')
    popular = people[:1] + random.sample(people[1:], len(people) - 1)
    reader = people[-1]
    counts = Counter({reader: reader_follow_count(len(people), follows)})
    fans = set(random.sample(people[1:-1], min(len(people) // 4, follows - counts[reader])))
    counts.update(fans)
    add_follows(random, counts, people[:-1], follows - counts.total())
    pairs = array('Q')
    for follower, count in counts.items():
        chosen = set(people[:1]) if follower in fans else set()
        choose_followed(random, popular, follower, count, chosen)
        pairs.extend(follower << 32 | followed for followed in chosen)
    random.shuffle(pairs)
    return pairs


def add_follows(random: Random, counts: Counter[int], people: list[int], follows: int) -> None:
    """Distribute follows over the users. If a user already follows everyone, the next user gets the follow."""
    for _ in range(follows):
        place = int(len(people) * random.random() ** 2)
        while counts[people[place]] == len(people):
            place = (place + 1) % len(people)
        counts[people[place]] += 1


def choose_followed(random: Random, popular: list[int], follower: int, count: int, chosen: set[int]) -> None:
    """Add users to the chosen until there are `count` of them, popular users with a higher probability."""
    for _ in range(4 * count):
        if len(chosen) == count:
            return
        chosen.add(popular[int(len(popular) * random.random() ** 2)])
        chosen.discard(follower)
    # If nearly all users are to be chosen, random draws would take too long to hit the last ones.
    others = (user for user in popular if user != follower and user not in chosen)
    chosen.update(list(islice(others, count - len(chosen))))


def draw_authors(people: list[int], posts: int) -> Sequence[int]:
    """Return the author of each post. Two in five users never post."""
    random = Random('authors')
    active = people[: max(1, len(people) * 3 // 5)]
    return array('I', (active[int(len(active) * random.random() ** 3)] for _ in range(posts)))


def draw_reply_targets(posts: int) -> Sequence[int]:
    """Return for each post the id of the post that it replies to, or 0."""
    random = Random('replies')
    drawn = (pick_recent_post(random, id - 1) if random.random() < REPLIES else 0 for id in range(1, posts + 1))
    return array('I', drawn)


def pick_recent_post(random: Random, last: int) -> int:
    """Return the id of a post up to the last, usually one of the last ten, or 0 if there is none."""
    return min(last, max(1, last + 1 - int(random.paretovariate(0.5))))


def draw_likes(people: list[int], posts: int, likes: int) -> Sequence[int]:
    """Return each like as one number, user * 2**32 + post, in chronological order.

    A like is of a recent post, or of a post that is liked already.
    """
    random = Random('likes')
    liked, counts = array('Q'), count_posts(posts)
    for id in range(likes):
        repeat = liked and random.random() < REPEAT_LIKE_SHARE
        post = (
            liked[int(id * random.random())] & ID_MASK if repeat else pick_recent_post(random, 1 + posts * id // likes)
        )
        while counts[post] == len(people):
            post = post % posts + 1
        # Each post has its own first user and goes on in order, so that no user likes it twice.
        liked.append(people[(post * 7919 + counts[post]) % len(people)] << 32 | post)
        counts[post] += 1
    return liked


def count_posts(posts: int, ids: Iterable[int] = ()) -> 'array[int]':
    """Return an array with the number of occurrences of each post id. It is much smaller than a Counter."""
    counts = array('I', bytes(4 * (posts + 1)))
    for id in ids:
        counts[id] += 1
    return counts


def user_rows(
    users: int, pairs: Sequence[int], authors: Sequence[int], liked: Sequence[int]
) -> Iterator[tuple[Any, ...]]:
    random = Random('users')
    password_hash = passwords.hash(PASSWORD)
    posts = Counter(authors)
    following = Counter(pair >> 32 for pair in pairs)
    followers = Counter(pair & ID_MASK for pair in pairs)
    seen = {*posts, *following, *(pair >> 32 for pair in liked)}
    texts = sentences()
    about_texts = [*texts, *[None] * len(texts)]
    for user in range(1, users + 1):
        name = username(user)
        about_me = random.choice(about_texts)
        created_at = timestamp(OPENED_AT, REGISTERED_BY, user / users)
        last_seen = CLOSED_AT + timedelta(minutes=random.randrange(40_000)) if user in seen else None
        counts = posts[user], followers[user], following[user]
        yield user, name, f'{name}@example.com', True, password_hash, about_me, created_at, last_seen, *counts


def follow_rows(pairs: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    for id, pair in enumerate(pairs, start=1):
        yield id, pair >> 32, pair & ID_MASK, timestamp(REGISTERED_BY, CLOSED_AT, id / len(pairs))


def post_rows(authors: Sequence[int], reply_targets: Sequence[int], liked: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    random = Random('posts')
    texts = sentences()
    likes = count_posts(len(authors), (pair & ID_MASK for pair in liked))
    replies = count_posts(len(authors), reply_targets)
    for id, (author, reply_to) in enumerate(zip(authors, reply_targets, strict=True), start=1):
        # Usually one sentence, at most five, cut to the maximum length of a post.
        text_ = ' '.join(random.choices(texts, k=1 + int(5 * random.random() ** 3)))[:280].strip()
        yield (
            id,
            author,
            reply_to or None,
            text_,
            timestamp(REGISTERED_BY, CLOSED_AT, id / len(authors)),
            likes[id],
            replies[id],
        )


def like_rows(liked: Sequence[int], posts: int) -> Iterator[tuple[Any, ...]]:
    share = 0.0
    for id, pair in enumerate(liked, start=1):
        # A like is neither older than the previous like nor than its post.
        share = max(share, id / len(liked), (pair & ID_MASK) / posts)
        yield id, pair >> 32, pair & ID_MASK, timestamp(REGISTERED_BY, CLOSED_AT, share)


def username(user: int) -> str:
    return f'{NAMES[user % len(NAMES)]}{user}'


def sentences() -> list[str]:
    return [
        *SHORT_TEXTS * 50,
        *(
            f'{subject} {verb} {object_}{ending}'
            for subject, verb, object_, ending in product(SUBJECTS, VERBS, OBJECTS, ENDINGS)
        ),
    ]


def timestamp(start: datetime, end: datetime, share: float) -> datetime:
    return start + timedelta(seconds=int((end - start).total_seconds() * share**0.5))


def lock_empty(connection: Connection) -> None:
    """Block other writers. Raise ClickException if there are users."""
    disable_timeouts(connection)
    if connection.dialect.name == 'postgresql':
        connection.execute(text('LOCK TABLE posts, likes, follows, users, table_counts IN SHARE ROW EXCLUSIVE MODE'))
    if connection.scalar(select(User.id).limit(1)):
        raise click.ClickException('the database has users; sample data needs an empty database')


def load(
    connection: Connection, model: type[Base], columns: Sequence[str], rows: Iterator[tuple[Any, ...]], count: int
) -> None:
    """Insert rows, whose values are in the order of the columns, and show a progress bar."""
    label = f'{count} {model.__tablename__}'
    with click.progressbar(rows, length=count, label=label, update_min_steps=BATCH_SIZE) as bar:
        write_rows(connection, cast(Table, model.__table__), columns, bar)


def finish_load(connection: Connection) -> None:
    """Let ids continue after the last one, and update the statistics of the query planner."""
    for model in (User, Follow, Post, Like):
        table = model.__tablename__
        if connection.dialect.name == 'postgresql':
            sequence = func.pg_get_serial_sequence(table, 'id')
            last = select(func.greatest(func.max(model.id), func.nextval(sequence))).scalar_subquery()
            connection.execute(select(func.setval(sequence, last)))
        connection.execute(text(f'ANALYZE {table}'))


def vacuum() -> None:
    """Vacuum the tables as PostgreSQL's autovacuum would do soon, so that index-only scans are possible."""
    if db.engine.dialect.name == 'postgresql':
        with autocommit_engine(db.engine).connect() as connection:
            disable_timeouts(connection)
            connection.execute(text('VACUUM users, follows, posts, likes'))
