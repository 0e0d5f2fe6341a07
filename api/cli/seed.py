"""`flask seed`: sample data to develop and measure with, skewed as in life and the same each time.

Who follows whom and who wrote what is drawn first and kept as bare numbers (8 bytes a follow, 4 a post), so that users
can be written with their counters. The rows themselves are made while they are loaded. Each table has dice of its own,
so that more posts do not change who follows whom. Only the salt of the password hash differs from run to run.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from random import Random
from typing import Any, cast

import click
import psycopg
from flask.cli import with_appcontext
from sqlalchemy import Connection, func, insert, select, text, update

from api.database import Base
from api.extensions import db, passwords
from api.models import Follow, Post, Total, User

PASSWORD = 'sample battery staple'  # noqa: S105 (no secret: it is printed)
MOST_READ = 2_000
BATCH = 10_000
# Users come in the first year; what they do is spread over the four years after it, always more.
OPENED, SETTLED, CLOSED = (datetime(year, 1, 1, tzinfo=UTC) for year in (2021, 2022, 2026))

NAMES = ('ana', 'ben', 'chloe', 'david', 'elif', 'farid', 'grace', 'hugo', 'ines', 'kemal', 'maja', 'noah', 'yara')
SHORT = ('?', '👍', 'ok', 'Yes!', 'なるほど', 'Oh no…', 'Good morning ☀️', 'Łódź!')
WHO = ('I', 'We', 'My sister', 'Our neighbour Zoë', 'The whole team', 'Some stranger', 'Grandma', 'Nobody')
DID = ('finished', 'lost', 'found', 'painted', 'read about', 'talked about', 'fell asleep over', 'forgot', 'dreamt of')
WHAT = ('a crème brûlée', 'the bicycle', 'that book', 'a recipe', 'the garden', 'two concert tickets', 'the piano')
WHEN = ('.', ' today.', ' again!', ' before breakfast.', ' in the rain.', ' on the train to Kraków.', ' at last! 🎉')

USER_COLUMNS = (
    *('id', 'username', 'email', 'password_hash', 'about_me', 'created_at', 'last_seen'),
    *('post_count', 'follower_count', 'following_count'),
)
FOLLOW_COLUMNS = ('id', 'follower_id', 'followed_id', 'created_at')
POST_COLUMNS = ('id', 'author_id', 'text', 'created_at')


@click.command('seed')
@click.option('--users', default=100, show_default=True, type=click.IntRange(1))
@click.option('--follows', default=1_000, show_default=True, type=click.IntRange(0))
@click.option('--posts', default=2_000, show_default=True, type=click.IntRange(0))
@with_appcontext
def seed_command(users: int, follows: int, posts: int) -> None:
    """Fill an empty database with sample users, the same each time."""
    if follows > (most := (users - 1) ** 2 + reading(users, follows)):
        raise click.UsageError(f'{users} users can follow each other {most} times at most')
    people = draw_people(users)
    with db.engine.begin() as connection:
        lock_empty(connection)
        pairs = draw_follows(people, follows)
        authors = draw_authors(people, posts)
        load(connection, User, USER_COLUMNS, user_rows(users, pairs, authors), users)
        load(connection, Follow, FOLLOW_COLUMNS, follow_rows(pairs), follows)
        load(connection, Post, POST_COLUMNS, post_rows(authors), posts)
        connection.execute(update(Total).where(Total.name == 'users').values(value=users))
        settle(connection)
    click.echo(f'a normal user: {username(people[users // 2])}')
    click.echo(f'followed by a quarter of all: {username(people[0])}')
    click.echo(f'follows {reading(users, follows)}: {username(people[-1])}')
    click.echo(f'password: {PASSWORD}')


def draw_people(users: int) -> list[int]:
    """The ids of all, the most active first: the hub. The last is the reader, who follows many and never posts."""
    people = list(range(1, users + 1))
    Random('people').shuffle(people)
    return people


def reading(users: int, follows: int) -> int:
    """How many the reader follows."""
    return min(MOST_READ, users - 1, follows // 2)


def draw_follows(people: list[int], follows: int) -> Sequence[int]:
    """Each follow as one number, follower * 2**32 + followed, in the order in which they happen."""
    random = Random('follows')
    popular = people[:1] + random.sample(people[1:], len(people) - 1)
    reader = people[-1]
    counts = Counter({reader: reading(len(people), follows)})
    fans = set(random.sample(people[1:-1], min(len(people) // 4, follows - counts[reader])))
    counts.update(fans)
    add_follows(random, counts, people[:-1], follows - counts.total())
    pairs = array('Q')
    for follower, count in counts.items():
        chosen = set(people[:1]) if follower in fans else set()
        choose(random, popular, follower, count, chosen)
        pairs.extend(follower << 32 | followed for followed in chosen)
    random.shuffle(pairs)
    return pairs


def add_follows(random: Random, counts: Counter[int], people: list[int], follows: int) -> None:
    """Shares follows out; those for somebody who follows everyone already go to the next."""
    for _ in range(follows):
        place = int(len(people) * random.random() ** 2)
        while counts[people[place]] == len(people):
            place = (place + 1) % len(people)
        counts[people[place]] += 1


def choose(random: Random, popular: list[int], follower: int, count: int, chosen: set[int]) -> None:
    """Adds to the chosen until they are `count`, the popular sooner than others."""
    for _ in range(4 * count):
        if len(chosen) == count:
            return
        chosen.add(popular[int(len(popular) * random.random() ** 2)])
        chosen.discard(follower)
    # Of nearly everyone chance would take too long to find the last.
    others = (user for user in popular if user != follower and user not in chosen)
    chosen.update(list(islice(others, count - len(chosen))))


def draw_authors(people: list[int], posts: int) -> Sequence[int]:
    """Who writes each post. Two in five never do."""
    random = Random('authors')
    active = people[: max(1, len(people) * 3 // 5)]
    return array('I', (active[int(len(active) * random.random() ** 3)] for _ in range(posts)))


def user_rows(users: int, pairs: Sequence[int], authors: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    random = Random('users')
    password_hash = passwords.hash(PASSWORD)
    posts = Counter(authors)
    following = Counter(pair >> 32 for pair in pairs)
    followers = Counter(pair & 0xFFFFFFFF for pair in pairs)
    stock = sentences()
    abouts = [*stock, *[None] * len(stock)]
    for user in range(1, users + 1):
        name = username(user)
        about_me = random.choice(abouts)
        created_at = moment(OPENED, SETTLED, user / users)
        last_seen = CLOSED + timedelta(minutes=random.randrange(40_000)) if posts[user] or following[user] else None
        counts = posts[user], followers[user], following[user]
        yield user, name, f'{name}@example.com', password_hash, about_me, created_at, last_seen, *counts


def follow_rows(pairs: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    for id, pair in enumerate(pairs, start=1):
        yield id, pair >> 32, pair & 0xFFFFFFFF, moment(SETTLED, CLOSED, id / len(pairs))


def post_rows(authors: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    random = Random('posts')
    stock = sentences()
    for id, author in enumerate(authors, start=1):
        # One sentence mostly, and up to five, which are more than fit.
        said = ' '.join(random.choices(stock, k=1 + int(5 * random.random() ** 3)))[:280].strip()
        yield id, author, said, moment(SETTLED, CLOSED, id / len(authors))


def username(user: int) -> str:
    return f'{NAMES[user % len(NAMES)]}{user}'


def sentences() -> list[str]:
    return [*SHORT * 50, *(f'{who} {did} {what}{when}' for who, did, what, when in product(WHO, DID, WHAT, WHEN))]


def moment(start: datetime, end: datetime, part: float) -> datetime:
    return start + timedelta(seconds=int((end - start).total_seconds() * part**0.5))


def lock_empty(connection: Connection) -> None:
    """Lets nobody else write; raises ClickException where somebody did."""
    if connection.dialect.name == 'postgresql':
        connection.execute(text('SET LOCAL statement_timeout = 0'))
        connection.execute(text('LOCK TABLE follows, posts, users, totals IN SHARE ROW EXCLUSIVE MODE'))
    if connection.scalar(select(User.id).limit(1)):
        raise click.ClickException('there are users already: sample data go into an empty database')


def load(
    connection: Connection, model: type[Base], columns: Sequence[str], rows: Iterator[tuple[Any, ...]], count: int
) -> None:
    """Writes rows, whose values come in the order of the columns, as fast as the database takes them."""
    with click.progressbar(length=count, label=f'{count} {model.__tablename__}') as bar:
        while batch := list(islice(rows, BATCH)):
            if connection.dialect.name == 'postgresql':
                copy(connection, model.__tablename__, columns, batch)
            else:
                connection.execute(insert(model), [dict(zip(columns, row, strict=True)) for row in batch])
            bar.update(len(batch))


def copy(connection: Connection, table: str, columns: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
    statement = f'COPY {table} ({", ".join(columns)}) FROM STDIN'
    driver = cast(psycopg.Connection, connection.connection.driver_connection)
    with driver.cursor() as cursor, cursor.copy(statement) as stream:
        for row in rows:
            stream.write_row(row)


def settle(connection: Connection) -> None:
    """Lets ids go on after the last, and tells the planner what there is."""
    for model in (User, Follow, Post):
        table = model.__tablename__
        if connection.dialect.name == 'postgresql':
            sequence = func.pg_get_serial_sequence(table, 'id')
            last = select(func.greatest(func.max(model.id), func.nextval(sequence))).scalar_subquery()
            connection.execute(select(func.setval(sequence, last)))
        connection.execute(text(f'ANALYZE {table}'))
