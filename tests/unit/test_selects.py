"""Prepared selects and prefetched rows."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from api.db.selects import MAX_DERIVED, PreparedSelect
from api.http.unit_of_work import read_only
from api.models import User
from api.queries.users import get_user, get_user_by_email
from tests.support.rows import add_users, log_in


def test_derived_selects_are_bounded() -> None:
    prepared = PreparedSelect(select(User.id, User.username))
    first = prepared.select_columns(('id',))
    assert prepared.select_columns(('id',)) is first
    for number in range(MAX_DERIVED):
        prepared.derive(number, lambda select: select)
    assert len(prepared._derived) <= MAX_DERIVED
    assert prepared.select_columns(('id',)) is not first


def test_prefetched_row_is_used_once(app: Flask, count_queries: Any) -> None:
    ana, ben, missing = [*add_users(app, 2), 10**6]
    with app.app_context(), read_only(), count_queries() as sent:
        for other, name in ((ben, 'user1'), (missing, 'missing')):
            before = len(sent)
            row = get_user_by_email('user0@example.com').first_with(get_user(other))
            assert row.id == ana
            for statements, id in ((2, ana), (2, other), (3, other)):
                found = get_user(id).first()
                assert (found.username if found else 'missing') == ('user0' if id == ana else name)
                assert len(sent) - before == statements, id


def test_missing_row_is_prefetched_as_missing(app: Flask, count_queries: Any) -> None:
    (ana,) = add_users(app, 1)
    with app.app_context(), read_only(), count_queries() as sent:
        assert get_user_by_email('missing@example.com').first_with(get_user(ana)) is None
        assert get_user(ana).scalar() == ana
    assert len(sent) == 2


def test_prefetch_survives_many_field_selections(app: Flask, count_queries: Any) -> None:
    ana, (ben,) = log_in(app, 'ana'), add_users(app, 1)
    for number in range(MAX_DERIVED):
        get_user(1).prepared.derive(number, lambda select: select)
    ana.get(f'/api/users/{ben}')
    with count_queries() as sent:
        ana.get(f'/api/users/{ben}')
    assert len(sent) == 1


def test_prefetch_rejects_shared_arguments() -> None:
    with pytest.raises(ValueError, match='share'):
        get_user(1).first_with(get_user(2))
