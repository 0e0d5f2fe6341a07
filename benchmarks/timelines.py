"""Measure the first page and a deep page of each timeline: `python -m benchmarks.timelines`.

On the database of DATABASE_URL, filled by `flask seed --users 20000 --follows 200000 --posts 500000 --likes 500000`, or
ten times as much. Prints CPU milliseconds per request, of this process and PostgreSQL together, and the ratio of the
deep page to the first. With `--save FILE` on one database and `--against FILE` on the other, it also prints the ratios
between them.

The readers are the user with the longest feed among all who follow 10 users, the same for 2,000 users, and a new user
who follows ten others: of the users with at most five posts, those whose newest posts are the oldest.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import ScalarResult, Select, func, insert, or_, select

from api.actions.follows import follow_user
from api.app import create_app
from api.clock import utcnow
from api.db.session import db
from api.http.pagination.cursors import encode_cursor
from api.models import Follow, Post, User
from benchmarks.measure import bearer_of, caller, compare, ratio

PER_PAGE = 25
QUIET = 'quiet'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--page', type=int, default=2000, help='the deep page; a shorter timeline ends before it')
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--batch', type=int, default=100)
    parser.add_argument('--save', type=Path, metavar='FILE')
    parser.add_argument('--against', type=Path, metavar='FILE')
    options = parser.parse_args()
    app = create_app()
    calls: dict[str, Any] = {}
    pages = {}
    for name, (path, viewer, ids) in timelines(app).items():
        headers = bearer_of(app, viewer)
        pages[name], after = position(app, path, ids, options.page)
        calls[f'{name} first'] = caller(app, f'{path}?per_page={PER_PAGE}', headers)
        calls[f'{name} deep'] = caller(app, f'{path}?per_page={PER_PAGE}&after={after}', headers)
        for call in (calls[f'{name} first'], calls[f'{name} deep']):
            assert json.loads(call())['items']
    spent = compare(app, calls, options.rounds, options.batch)
    before = json.loads(options.against.read_text()) if options.against else {}
    print(
        f'{"":20} {"first":>8} {"deep":>8} {"page":>6}   deep/first' + (f'   times {options.against}' if before else '')
    )
    for name, page in pages.items():
        first, deep = spent[f'{name} first'], spent[f'{name} deep']
        print(f'{name:20} {ms(first):8.3f} {ms(deep):8.3f} {page:6}   {ratio(deep, first)}', end='')
        print(*(f'{ms(spent[key]) / before[key]:8.2f}' for key in (f'{name} first', f'{name} deep') if key in before))
    if options.save:
        options.save.write_text(json.dumps({name: ms(seconds) for name, seconds in spent.items()}, indent=1))


def ms(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1000


def timelines(app: Flask) -> dict[str, tuple[str, int, Select[Any]]]:
    """Return path, viewer and post ids of each timeline."""
    with app.app_context():
        ten, many = follower_of(10), follower_of(2000)
        quiet = db.session.scalar(select(User.id).where(User.username == QUIET)) or add_quiet_reader()
        author = db.session.scalars(select(User.id).order_by(User.post_count.desc()).limit(1)).one()
        db.session.commit()
    return {
        'feed of 10': ('/api/feed', ten, feed_of(ten)),
        'feed of 2,000': ('/api/feed', many, feed_of(many)),
        'feed of 10 quiet': ('/api/feed', quiet, feed_of(quiet)),
        'posts of a user': (f'/api/users/{author}/posts', ten, select(Post.id).where(Post.author_id == author)),
        'posts of everyone': ('/api/posts', ten, select(Post.id)),
    }


def follower_of(number: int) -> int:
    """Return the user with the longest feed among all who follow that many."""
    following = select(Follow.follower_id).join(User, User.id == Follow.followed_id).group_by(Follow.follower_id)
    longest = following.having(func.count() == number).order_by(func.sum(User.post_count).desc()).limit(1)
    return db.session.scalars(longest).one()


def feed_of(viewer: int) -> Select[Any]:
    followed = select(Follow.followed_id).where(Follow.follower_id == viewer)
    return select(Post.id).where(or_(Post.author_id == viewer, Post.author_id.in_(followed)))


def add_quiet_reader() -> int:
    values = {'username': QUIET, 'email': f'{QUIET}@example.com', 'password_hash': '', 'created_at': utcnow()}
    reader = db.session.scalars(insert(User).values(values).returning(User.id)).one()
    for author in quiet_authors().all():
        follow_user(actor=reader, id=author)
    return reader


def quiet_authors() -> ScalarResult[int]:
    newest = func.max(Post.id)
    few = func.count().between(1, 5)
    return db.session.scalars(select(Post.author_id).group_by(Post.author_id).having(few).order_by(newest).limit(10))


def position(app: Flask, path: str, ids: Select[Any], page: int) -> tuple[int, str]:
    """Return the page number, or that of the last full page before it, and the cursor of its link."""
    with app.test_request_context(path):
        found = db.session.scalars(ids.order_by(Post.id.desc()).limit((page - 1) * PER_PAGE + PER_PAGE)).all()
        full = max(1, len(found) // PER_PAGE)
        # The deep page of a timeline shorter than two pages is its second half.
        last = found[(full - 1) * PER_PAGE - 1] if full > 1 else found[len(found) // 2]
        return full, encode_cursor(last)


if __name__ == '__main__':
    main()
