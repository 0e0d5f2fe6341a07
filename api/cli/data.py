"""Commands about the rows: counters that are verified and repaired."""

from typing import Any

import click
from flask.cli import with_appcontext
from sqlalchemy import Update, func, or_, select, update
from sqlalchemy.orm import aliased

from api.actions.rows import insert_once
from api.database import take_time
from api.extensions import db
from api.models import Follow, Like, Post, Total, User

Reply = aliased(Post)
COUNTERS = {
    Post: {
        Post.like_count: select(func.count()).where(Like.post_id == Post.id),
        Post.reply_count: select(func.count()).where(Reply.reply_to_id == Post.id),
    },
    User: {
        User.post_count: select(func.count()).where(Post.author_id == User.id),
        User.follower_count: select(func.count()).where(Follow.followed_id == User.id),
        User.following_count: select(func.count()).where(Follow.follower_id == User.id),
    },
}


@click.command('recount')
@with_appcontext
def recount_command() -> None:
    """Count what the counters count, and repair those that are wrong."""
    wrong = recount()
    db.session.commit()
    click.echo(f'{wrong} counters were wrong and are repaired' if wrong else 'all counters are right')


def recount() -> int:
    """Repairs the counters and returns how many were wrong.

    Only rows with a wrong counter are locked, in the order in which writers lock them: posts, users, the total. While
    a row is locked nobody commits what it counts, so that what is counted then stays right.
    """
    take_time(db.session.connection())
    return sum(recount_rows(model, counters) for model, counters in COUNTERS.items()) + recount_users()


def recount_rows(model: Any, counters: dict[Any, Any]) -> int:
    counts = {counter: count.scalar_subquery() for counter, count in counters.items()}
    wrong = select(model.id).where(or_(*(counter != count for counter, count in counts.items())))
    row = aliased(model)
    db.session.execute(select(row.id).where(row.id.in_(wrong)).order_by(row.id).with_for_update(key_share=True, of=row))
    repairs = (update(model).where(counter != count).values({counter: count}) for counter, count in counts.items())
    return sum(changed(repair) for repair in repairs)


def recount_users() -> int:
    """Repairs the total of users, or makes it again."""
    users = select(func.count()).select_from(User).scalar_subquery()
    if insert_once(Total, name='users', value=users):
        return 1
    db.session.execute(select(Total.value).where(Total.name == 'users').with_for_update())
    return changed(update(Total).where(Total.name == 'users', Total.value != users).values(value=users))


def changed(statement: Update) -> int:
    return db.session.connection().execute(statement).rowcount
