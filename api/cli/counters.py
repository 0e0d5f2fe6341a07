"""`flask counters`: verify and repair the stored counts."""

from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy import Update, func, or_, select, update
from sqlalchemy.orm import aliased

from api.actions.rows import insert_if_absent
from api.db.engine import disable_timeouts
from api.db.session import db
from api.models import Follow, Like, Post, TableCount, User

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


counters_commands = AppGroup('counters', help='The counters of users and posts.')


@counters_commands.command('repair')
def repair_counters_command() -> None:
    """Compare all counters with the rows that they count and repair the wrong ones."""
    wrong = repair_counters()
    db.session.commit()
    click.echo(f'{wrong} wrong counters repaired' if wrong else 'all counters are correct')


def repair_counters() -> int:
    """Repair the counters and return how many were wrong.

    Only rows with a wrong counter are locked, in the order in which writers lock them: posts, users, the table count.
    While a row is locked, no transaction that changes its counters can commit, so the repaired count stays correct.
    """
    disable_timeouts(db.session.connection())
    return sum(repair_rows(model, counters) for model, counters in COUNTERS.items()) + repair_user_count()


def repair_rows(model: Any, counters: dict[Any, Any]) -> int:
    """Repair the counters of one model and return how many were wrong."""
    counts = {counter: count.scalar_subquery() for counter, count in counters.items()}
    wrong = select(model.id).where(or_(*(counter != count for counter, count in counts.items())))
    row = aliased(model)
    db.session.execute(select(row.id).where(row.id.in_(wrong)).order_by(row.id).with_for_update(key_share=True, of=row))
    repairs = (update(model).where(counter != count).values({counter: count}) for counter, count in counts.items())
    return sum(affected_rows(repair) for repair in repairs)


def repair_user_count() -> int:
    """Repair the table count of the users, or insert it if it is missing. Return 1 if it was wrong, else 0."""
    users = select(func.count()).select_from(User).scalar_subquery()
    if insert_if_absent(TableCount, table_name='users', row_count=users):
        return 1
    db.session.execute(select(TableCount.row_count).where(TableCount.table_name == 'users').with_for_update())
    return affected_rows(
        update(TableCount)
        .where(TableCount.table_name == 'users', TableCount.row_count != users)
        .values(row_count=users)
    )


def affected_rows(statement: Update) -> int:
    return db.session.connection().execute(statement).rowcount
