"""Rows that an action locks until its transaction ends, and rows that it does not lock."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text, update

from api.actions import likes, users
from api.actions.account_deletion import lock_rows
from api.actions.follows import lock_both
from api.actions.posts import create_post, delete_post, lock_post
from api.actions.rows import lock_user
from api.actions.tokens import revoke_user_tokens
from api.actions.users import lock_and_get_email, request_verification, verify_email
from api.db.session import db
from api.models import Post, User
from api.security.mail_tokens import EMAIL_VERIFICATION, sign_mail_token

# SQLite locks no rows: there is one writer at a time.
pytestmark = pytest.mark.parametrize('database_url', ['postgresql'], indirect=True)

FindUnlocked = Callable[..., set[int]]


@pytest.fixture
def unlocked(app: Flask) -> FindUnlocked:
    """Return a function that returns the ids of the rows that another transaction can lock now.

    reference: lock them as an INSERT of a row that refers to them does, which is weaker than an UPDATE.
    """

    def find(model: Any = User, *, reference: bool = False) -> set[int]:
        with db.engine.connect() as other, other.begin():
            free = select(model.id).with_for_update(skip_locked=True, key_share=True, read=reference)
            return set(other.scalars(free))

    return find


@pytest.mark.parametrize(
    ('action', 'locked'),
    [
        (lambda ana, ben: lock_both(ana, ben), 2),
        (lambda ana, ben: lock_both(ben, ana), 2),
        (lambda ana, ben: lock_user(ana), 1),
        (lambda ana, ben: lock_user(ana, 0), 1),
        (lambda ana, ben: lock_and_get_email(ana), 1),
        (lambda ana, ben: request_verification(actor=ana), 1),
        (lambda ana, ben: revoke_user_tokens(ana), 1),
        (lambda ana, ben: lock_rows(User, [ana, ben]), 2),
    ],
)
def test_an_action_locks_only_the_users_it_is_about(
    app: Flask, login: Any, unlocked: FindUnlocked, action: Callable[[int, int], Any], locked: int
) -> None:
    ids = [login(name).id for name in ('ana', 'ben', 'cleo')]
    with app.app_context():
        action(ids[0], ids[1])
        assert unlocked() == set(ids[locked:])
        assert unlocked(reference=True) == set(ids), 'others must be able to insert rows that refer to the users'


@pytest.mark.parametrize(
    ('action', 'locked'),
    [
        (lambda ids: lock_post(ids[1]), [1]),
        (lambda ids: likes.lock_post(ids[1]), [1]),
        (lambda ids: lock_rows(Post, ids[1:]), [1, 2]),
    ],
)
def test_an_action_locks_only_the_posts_it_is_about(
    app: Flask, login: Any, unlocked: FindUnlocked, action: Callable[[list[int]], Any], locked: list[int]
) -> None:
    ana = login('ana').id
    with app.app_context():
        ids = [create_post(actor=ana, text=text)['id'] for text in ('one', 'two', 'three')]
        db.session.commit()
        action(ids)
        assert unlocked(Post) == set(ids) - {ids[place] for place in locked}
        assert unlocked(Post, reference=True) == set(ids), 'others must be able to insert rows that refer to the posts'


def test_reply_and_parent_are_locked_before_deletion(
    app: Flask, login: Any, unlocked: FindUnlocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = login('ana').id
    with app.app_context():
        parent, other = (create_post(actor=ana, text=text)['id'] for text in ('parent', 'other'))
        reply = create_post(actor=ana, text='reply', reply_to_id=parent)['id']
        db.session.commit()
        found = []

        def record_locks(id: int) -> Any:
            found.extend([unlocked(Post), unlocked(Post, reference=True)])
            return lock_post(id)

        monkeypatch.setattr('api.actions.posts.lock_post', record_locks)
        delete_post(id=reply)
    assert found == [{other}, {parent, other, reply}]


def test_an_address_cannot_change_while_it_is_verified(
    app: Flask, login: Any, unlocked: FindUnlocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise an address that is set between the check and the update would count as verified."""
    ana, ben = login('ana').id, login('ben').id
    found = []

    class RecordLocks(users.MailToken):
        def check(self, state: str | None) -> None:
            found.extend([unlocked(), unlocked(reference=True)])
            super().check(state)

    monkeypatch.setattr(users, 'MailToken', RecordLocks)
    with app.app_context():
        verify_email(token=sign_mail_token(EMAIL_VERIFICATION, ana, 'ana@example.com'))
    assert found == [{ben}, {ana, ben}]


def is_waiting(app: Flask) -> bool:
    """Return whether a transaction waits for a lock that another one holds."""
    with app.app_context(), db.engine.connect() as connection, connection.begin():
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(connection.scalar(waiting))


def change_row(model: Any, id: int, **values: str) -> None:
    """Update a row, so that the table stores it after the rows with higher ids."""
    db.session.execute(update(model).where(model.id == id).values(values))
    db.session.commit()


@contextmanager
def act_while_locked(app: Flask, locked: Callable[[], Any], action: Callable[[], Any]) -> Iterator[None]:
    """Lock something, start an action in another transaction, and yield when the action waits for the lock."""

    def act() -> None:
        with app.app_context():
            action()

    with app.app_context(), ThreadPoolExecutor(1) as pool:
        locked()
        acting = pool.submit(act)
        while not is_waiting(app):
            time.sleep(0.01)
        try:
            yield
        finally:
            db.session.rollback()
        acting.result()


@pytest.mark.parametrize('action', [lock_both, lambda *ids: lock_rows(User, ids)])
def test_users_are_locked_in_the_order_of_their_ids(
    app: Flask, login: Any, unlocked: FindUnlocked, action: Callable[[int, int], Any]
) -> None:
    """Otherwise two transactions that lock the same rows could deadlock."""
    ana, ben = login('ana').id, login('ben').id
    with app.app_context():
        change_row(User, ana, about_me='changed')
    with act_while_locked(app, lambda: lock_user(ana), lambda: action(ben, ana)):
        assert unlocked() == {ben}


def test_a_parent_is_locked_before_its_reply(app: Flask, login: Any, unlocked: FindUnlocked) -> None:
    ana = login('ana').id
    with app.app_context():
        parent = create_post(actor=ana, text='parent')['id']
        reply = create_post(actor=ana, text='reply', reply_to_id=parent)['id']
        change_row(Post, parent, text='changed')
    with act_while_locked(app, lambda: lock_post(parent), lambda: delete_post(id=reply)):
        assert unlocked(Post) == {reply}
