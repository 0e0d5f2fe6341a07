from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from api.edge.transaction import reading
from api.models import User
from api.queries.query import MOST_DERIVED, Prepared
from api.queries.users import get_user, get_user_by_email
from tests.routes.rows import add_users, log_in


def test_what_clients_choose_does_not_fill_the_memory() -> None:
    prepared = Prepared(select(User.id, User.username))
    first = prepared.only(('id',))
    assert prepared.only(('id',)) is first
    for number in range(MOST_DERIVED):
        prepared.derive(number, lambda select: select)
    assert len(prepared._derived) <= MOST_DERIVED
    assert prepared.only(('id',)) is not first


def test_what_is_read_along_is_there_once_for_who_asks_for_the_same(app: Flask, count_queries: Any) -> None:
    ana, ben, nobody = [*add_users(app, 2), 10**6]
    with app.app_context(), reading(), count_queries() as sent:
        for other, name in ((ben, 'user1'), (nobody, 'nobody')):
            before = len(sent)
            row = get_user_by_email('user0@example.com').first_along(get_user(other))
            assert row.id == ana
            for statements, asked in ((2, ana), (2, other), (3, other)):
                found = get_user(asked).first()
                assert (found.username if found else 'nobody') == ('user0' if asked == ana else name)
                assert len(sent) - before == statements, asked


def test_nothing_is_read_along_with_nobody(app: Flask, count_queries: Any) -> None:
    (ana,) = add_users(app, 1)
    with app.app_context(), reading(), count_queries() as sent:
        assert get_user_by_email('nobody@example.com').first_along(get_user(ana)) is None
        assert get_user(ana).scalar() == ana
    assert len(sent) == 2


def test_one_user_is_still_read_along_when_clients_tried_many_members(app: Flask, count_queries: Any) -> None:
    ana, (ben,) = log_in(app, 'ana'), add_users(app, 1)
    for number in range(MOST_DERIVED):
        get_user(1).prepared.derive(number, lambda select: select)
    ana.get(f'/api/users/{ben}')
    with count_queries() as sent:
        ana.get(f'/api/users/{ben}')
    assert len(sent) == 1


def test_queries_that_are_read_along_share_no_argument() -> None:
    with pytest.raises(ValueError, match='share'):
        get_user(1).first_along(get_user(2))
