"""Requests of every kind, made from the document: the server must answer each as the document says.

It is what `schemathesis run` does, all phases and all checks, the same way each time. On a server, because the checks
that leave credentials out do not work in process.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
import schemathesis
from flask import Flask
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.hooks import GLOBAL_HOOK_DISPATCHER

from api.actions.posts import write_post
from api.actions.tokens import issue_token
from api.actions.users import register_user
from api.edge.paging import sealed
from api.extensions import db
from tests.conftest import PASSWORD, basic
from tests.servers import Server

UNIQUE, POSITIONS = ('username', 'email'), ('after', 'before')


@pytest.fixture
def api(app: Flask, server: Server) -> Iterator[schemathesis.BaseSchema]:
    """The API as schemathesis sees it. Ana gets tokens by her password; ben, who changes his name, uses one.

    Both have a post. Ben changes his; ana's, which he cannot delete, is what he answers.
    """
    with app.app_context():
        (other_id, answered_id), (user_id, post_id) = (with_post(name) for name in ('ana', 'ben'))
        db.session.commit()
    url = f'http://127.0.0.1:{server.port}/apispec.json'
    api = schemathesis.openapi.from_url(url, config=configuration(user_id, post_id))
    give_credentials(api, app, user_id)
    with giving_what_no_schema_tells(app, user_id, other_id, answered_id):
        yield api


def with_post(name: str) -> tuple[int, int]:
    """A new user's id, and that of their post."""
    user_id = register_user(username=name, email=f'{name}@example.com', password=PASSWORD)
    return user_id, write_post(actor=user_id, text='Hello, world!')['id']


def configuration(user_id: int, post_id: int) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            'continue-on-failure': True,
            'generation': {'deterministic': True, 'max-examples': 40, 'no-shrink': True},
            'phases': {'stateful': {'generation': {'max-examples': 20}}},
            # Another id than one's own is 403, whatever the body.
            'operations': [
                {'include-operation-id': name, 'parameters': {'path.id': id}}
                for kind, id in (('users', user_id), ('posts', post_id))
                for name in (f'{kind}_update', f'{kind}_patch')
            ],
        }
    )


def give_credentials(api: schemathesis.BaseSchema, app: Flask, user_id: int) -> None:
    """A token for each request anew, because one of the operations revokes it."""

    @api.auth(refresh_interval=None)
    class Credentials:
        def get(self, case: schemathesis.Case, context: schemathesis.AuthContext) -> str:
            if context.operation.definition.raw['security'] == [{'basic_auth': []}]:
                return basic('ana', PASSWORD)['Authorization']
            with app.app_context():
                token = issue_token(actor=user_id).token
                db.session.commit()
            return f'Bearer {token}'

        def set(self, case: schemathesis.Case, data: str, context: schemathesis.AuthContext) -> None:
            case.headers['Authorization'] = data


@contextmanager
def giving_what_no_schema_tells(app: Flask, user_id: int, other_id: int, answered_id: int) -> Iterator[None]:
    """Positions that were given out for the path, names that nobody has, a post to answer that there is, and somebody
    else to follow: no others are taken.
    """
    numbers = count()

    def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
        # The web server refuses it where it makes no sense, before there is an operation.
        case.headers.pop('Transfer-Encoding', None)
        if not case.meta.generation.mode.is_positive:
            return
        if '/following/' in case.path and case.path_parameters['id'] in (user_id, str(user_id)):
            case.path_parameters['id'] = other_id
        with app.test_request_context(case.formatted_path):
            case.query |= {name: sealed(next(numbers)) for name in POSITIONS if case.query.get(name)}
        if isinstance(case.body, dict):
            case.body |= {name: fresh(case.body[name], next(numbers)) for name in UNIQUE if name in case.body}
            case.body |= {name: answered_id for name in ('reply_to_id',) if case.body.get(name)}

    schemathesis.hook(before_call)
    yield
    GLOBAL_HOOK_DISPATCHER.unregister(before_call)


def fresh(name: str, number: int) -> str:
    """A username or an e-mail address with a number at the end of the name, not longer than before if long."""
    local, at, domain = name.partition('@')
    return f'{local[: max(1, len(local) - 6)]}{number:06}{at}{domain}'


def test_every_answer_is_what_the_document_says(api: schemathesis.BaseSchema) -> None:
    failures: dict[str, None] = {}
    tested = set()
    for event in from_schema(api).execute():
        if isinstance(event, events.ScenarioFinished):
            failures.update(dict.fromkeys(failures_of(event)))
            tested.update(case.value.operation.label for case in event.recorder.cases.values())
        elif isinstance(event, events.NonFatalError | events.FatalError):
            failures[str(event)] = None
    assert not failures, '\n\n'.join(failures)
    assert tested == {operation.ok().label for operation in api.get_all_operations()}


def failures_of(scenario: events.ScenarioFinished) -> Iterator[str]:
    for checks in scenario.recorder.checks.values():
        for check in checks:
            if check.failure_info:
                yield f'{check.failure_info.failure}\n{check.failure_info.code_sample}'
