"""Commands about the rows: counters that are verified and repaired."""

import click
from flask.cli import with_appcontext
from sqlalchemy import Update, func, select, text, update

from api.extensions import db
from api.models import Follow, Post, Total, User

COUNTERS = {
    User.post_count: select(func.count()).where(Post.author_id == User.id),
    User.follower_count: select(func.count()).where(Follow.followed_id == User.id),
    User.following_count: select(func.count()).where(Follow.follower_id == User.id),
}


@click.command('recount')
@with_appcontext
def recount_command() -> None:
    """Count what the counters count, and repair those that are wrong."""
    wrong = recount()
    db.session.commit()
    click.echo(f'{wrong} counters were wrong and are repaired' if wrong else 'all counters are right')


def recount() -> int:
    """Repairs the counters and returns how many were wrong."""
    if db.engine.dialect.name == 'postgresql':
        # Writers wait meanwhile, as they do on SQLite. In the order in which they take these tables themselves.
        db.session.execute(text('SET LOCAL statement_timeout = 0'))
        db.session.execute(text('LOCK TABLE follows, posts, users, totals IN SHARE ROW EXCLUSIVE MODE'))
    users = select(func.count()).select_from(User).scalar_subquery()
    total = update(Total).where(Total.name == 'users', Total.value != users).values(value=users)
    wrong = changed(total)
    for counter, count in COUNTERS.items():
        counted = count.scalar_subquery()
        repair = update(User).where(counter != counted).values({counter: counted})
        wrong += changed(repair)
    return wrong


def changed(statement: Update) -> int:
    return db.session.connection().execute(statement).rowcount
