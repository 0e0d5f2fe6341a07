"""Who may do what: every operation of the document, called by everyone who might call it.

The document says what an operation needs, and who has that is known; so is what everyone is to be answered.
"""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from api.extensions import db
from api.models import Token, User
from api.scopes import SCOPES
from tests.conftest import Client
from tests.world import KNOWN, Caller, Known, Operation, World, all_rows, call

UNAUTHORIZED = {'error': 'Unauthorized'}
BASIC = 'Basic realm="Authentication Required"'
BEARER = 'Bearer realm="Authentication Required"'
INVALID_TOKEN = f'{BEARER}, error="invalid_token"'
OUTSIDE_OF_THE_DOCUMENT = {'contract', 'docs', 'pages', 'problems', 'wellknown'}


def expected_status(operation: Operation, known: Known, caller: Caller) -> int:
    """What the document makes of it."""
    if operation.needs == 'nothing':
        return known.status
    if not caller.works or (operation.needs == 'basic' and not caller.has_password):
        return 401
    if operation.needs == 'bearer' and not caller.scopes.issuperset(operation.scopes):
        return 403
    if known.others and caller.whose != 'owner':
        return known.others
    return known.status


def methods_of(operation: Operation) -> list[str]:
    """Every GET is a HEAD, too."""
    return [operation.method, 'HEAD'] if operation.method == 'GET' else [operation.method]


def challenge_to(operation: Operation, known: Known, caller: Caller) -> str | None:
    """The header that comes with what is expected."""
    status = expected_status(operation, known, caller)
    if status == 401 and operation.needs == 'basic':
        return BASIC
    if status == 401:
        return INVALID_TOKEN if caller.token else BEARER
    if status == 403 and not caller.scopes.issuperset(operation.scopes):
        return f'Bearer error="insufficient_scope", scope="{operation.scopes[0]}"'
    return None


def rows_of(app: Flask, user_id: int) -> list[Any]:
    """A user's entry and tokens, without the counters that others move."""
    with app.app_context():
        own = (User.username, User.email, User.email_verified, User.password_hash, User.credentials_version)
        user = db.session.execute(select(*own, User.disabled_at, User.about_me).where(User.id == user_id)).all()
        token = (Token.id, Token.digest, Token.name, Token.scopes, Token.expires_at)
        tokens = db.session.execute(select(*token).where(Token.user_id == user_id).order_by(Token.id)).all()
    return [*user, *tokens]


def test_the_table_knows_every_operation(operations: dict[str, Operation]) -> None:
    assert set(KNOWN) == set(operations)


def test_no_operation_needs_more_than_one_scope_or_one_that_nobody_describes(operations: dict[str, Operation]) -> None:
    needed = [operation.scopes for operation in operations.values() if operation.scopes]
    assert {scope for scopes in needed for scope in scopes} == set(SCOPES)
    assert {len(scopes) for scopes in needed} == {1}


def test_only_operations_about_the_token_itself_need_no_scope(operations: dict[str, Operation]) -> None:
    without = {id for id, operation in operations.items() if operation.needs == 'bearer' and not operation.scopes}
    assert without == {'tokens_show', 'tokens_delete'}


def test_no_route_is_missing_in_the_document(migrated_app: Flask, operations: dict[str, Operation]) -> None:
    routes = {rule.endpoint for rule in migrated_app.url_map.iter_rules()}
    undocumented = {route for route in routes if route.replace('.', '_') not in operations}
    assert {route.partition('.')[0] for route in undocumented} == OUTSIDE_OF_THE_DOCUMENT


def test_everyone_is_in_the_matrix(make_world: Callable[[], World]) -> None:
    callers = make_world().callers
    assert len(callers) == len({caller.name for caller in callers}) == 13 + 2 * len(SCOPES)


@pytest.mark.parametrize('id', KNOWN)
def test_who_may_not_is_refused_and_changes_nothing(
    app: Flask, anonymous: Client, operations: dict[str, Operation], make_world: Callable[[], World], id: str
) -> None:
    operation, known, world = operations[id], KNOWN[id], make_world()
    before = all_rows(app)
    for caller in world.callers:
        status = expected_status(operation, known, caller)
        for method in methods_of(operation) if status != known.status else ():
            answer = call(anonymous, operation._replace(method=method), known, caller, world)
            assert answer.status_code == status, (method, caller.name)
            assert answer.headers.get('WWW-Authenticate') == challenge_to(operation, known, caller), caller.name
            if status == 401 and method != 'HEAD':
                assert answer.json == UNAUTHORIZED
    assert all_rows(app) == before


@pytest.mark.parametrize('id', KNOWN)
def test_who_may_succeeds_and_changes_nothing_of_anybody_else(
    app: Flask, anonymous: Client, operations: dict[str, Operation], make_world: Callable[[], World], id: str
) -> None:
    operation, known, world = operations[id], KNOWN[id], make_world()
    succeeded = set()
    for number in range(len(world.callers)):
        caller = world.callers[number]
        if expected_status(operation, known, caller) != known.status or is_one_too_many(operation, caller):
            continue
        bystanders = [world.users[user] for user in ('owner', 'other', 'third') if user != caller.whose]
        before = [rows_of(app, bystander) for bystander in bystanders]
        for method in methods_of(operation):
            answer = call(anonymous, operation._replace(method=method), known, caller, world)
            assert answer.status_code == known.status, (method, caller.name, answer.text)
            assert 'WWW-Authenticate' not in answer.headers
        if operation.needs != 'nothing':
            assert [rows_of(app, bystander) for bystander in bystanders] == before, caller.name
        succeeded.add(caller.name)
        if operation.method != 'GET':
            world = make_world()
    assert succeeded.issuperset(who_succeeds_at_least(operation, known))


def is_one_too_many(operation: Operation, caller: Caller) -> bool:
    """Several scopes are as good as the one; and where nobody looks at tokens, one with few is enough."""
    if operation.needs == 'nothing':
        return len(caller.scopes) < len(SCOPES) and 'users:read alone' not in caller.name
    return 'but' in caller.name


def who_succeeds_at_least(operation: Operation, known: Known) -> set[str]:
    alone = {f'a token with {scope} alone' for scope in operation.scopes}
    return {'the owner', *alone} | ({'another user'} if not known.others else set())
