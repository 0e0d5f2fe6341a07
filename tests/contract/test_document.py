"""Tests of the document as a whole."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apifairy import authenticate
from flask import Flask
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from api.app import create_app
from api.db.session import db
from api.http.auth import token_auth
from api.schemas.base import Schema
from api.schemas.links import Links
from api.security.scopes import SCOPES
from config import Settings
from tests.support.client import Client
from tests.support.document import ROOT, formats

COMMITTED = Path(__file__).parents[2] / 'docs' / 'openapi.json'
PUBLIC = {
    'createUser',
    'requestPasswordReset',
    'resetPassword',
    'verifyEmail',
    'getChangelog',
    'checkLiveness',
    'checkReadiness',
}

pytestmark = pytest.mark.parametrize('database_url', ['sqlite'], indirect=True, scope='session')


@pytest.fixture
def document(migrated_app: Flask) -> dict[str, Any]:
    served: dict[str, Any] = json.loads(migrated_app.test_client().get('/apispec.json').data)
    return served


@pytest.fixture
def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document['paths'].values() for operation in path.values()]


def test_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_committed_document_is_current(migrated_app: Flask, document: dict[str, Any]) -> None:
    printed = migrated_app.test_cli_runner().invoke(args=['openapi', 'export']).output
    assert json.loads(printed) == document
    assert COMMITTED.read_text() == printed


def test_document_introduces_the_api(document: dict[str, Any]) -> None:
    assert '## First steps' in document['info']['description']


def test_every_operation_names_credentials_or_is_public(operations: list[dict[str, Any]]) -> None:
    assert {operation['operationId'] for operation in operations if not operation['security']} == PUBLIC


def test_every_operation_has_one_scope_and_all_are_used(operations: list[dict[str, Any]]) -> None:
    named = {
        operation['operationId']: operation['security'][0]['token_auth']
        for operation in operations
        if 'token_auth' in str(operation['security'])
    }
    for_any_token = {name for name, scopes in named.items() if not scopes}
    assert for_any_token == {'getCurrentToken', 'revokeCurrentToken'}
    assert all(len(named[name]) == 1 for name in named.keys() - for_any_token)
    assert {scope for scopes in named.values() for scope in scopes} == set(SCOPES)


def test_every_scope_is_described(document: dict[str, Any]) -> None:
    explained = document['components']['securitySchemes']['token_auth']['description']
    for scope, sentence in SCOPES.items():
        assert f'| `{scope}` | {sentence} |' in explained


@pytest.mark.parametrize(('role', 'status'), [({}, 403), ({'role': 'nonsense'}, 403), ({'role': 'users:read'}, 200)])
def test_view_without_scope_rejects_every_token(
    settings: Settings, login: Callable[[str], Client], role: dict[str, str], status: int
) -> None:
    app = create_app(settings)

    def forgotten() -> str:
        """Return a secret

        The decorator names no scope.
        """
        return 'secret'

    app.add_url_rule('/forgotten', view_func=authenticate(token_auth, **role)(forgotten))
    response = app.test_client().get('/forgotten', headers={'Authorization': f'Bearer {login("ana").token}'})
    with app.app_context():
        db.engine.dispose()
    assert (response.status_code, 'secret' in response.text) == (status, status == 200)


def test_every_operation_is_described(document: dict[str, Any], operations: list[dict[str, Any]]) -> None:
    described = {tag['name'] for tag in document['tags'] if tag['description']}
    for operation in operations:
        assert 0 < len(operation['summary']) < 60
        assert operation['description']
        assert operation['tags']
        assert described.issuperset(operation['tags'])
    assert len({operation['operationId'] for operation in operations}) == len(operations)


def test_every_response_but_204_has_a_typed_body(document: dict[str, Any], operations: list[dict[str, Any]]) -> None:
    named = document['components']['responses']
    for operation in operations:
        for status, response in operation['responses'].items():
            described = named[response['$ref'].rpartition('/')[2]] if '$ref' in response else response
            if status in ('204', '304'):
                assert 'content' not in described
            else:
                assert all(media['schema'] for media in described['content'].values())


def test_every_401_documents_its_challenge(document: dict[str, Any], operations: list[dict[str, Any]]) -> None:
    components = document['components']
    for operation in operations:
        if operation['security']:
            response = components['responses'][operation['responses']['401']['$ref'].rpartition('/')[2]]
            header = components['headers'][response['headers']['WWW-Authenticate']['$ref'].rpartition('/')[2]]
            scheme = 'Basic' if {'basic_auth': []} in operation['security'] else 'Bearer'
            assert header['example'] == f'{scheme} realm="Authentication Required"'


def test_every_example_matches_its_schema(document: dict[str, Any]) -> None:
    registry: Registry[Any] = Registry().with_resource(ROOT, DRAFT202012.create_resource(document))
    found = list(examples_in(document))
    assert found
    for schema, example in found:
        Draft202012Validator(absolute(schema), registry=registry, format_checker=formats).validate(example)


def test_every_error_example_has_its_own_status(document: dict[str, Any]) -> None:
    named = document['components']['responses']
    examples = {
        name: response['content']['application/json']['example']
        for name, response in named.items()
        if 'content' in response
    }
    assert examples['Unauthorized'] == examples.pop('UnauthorizedBasic') == {'error': 'Unauthorized'}
    assert len({example['error'] for example in examples.values()}) == len(examples)


def test_every_link_matches_a_route(migrated_app: Flask) -> None:
    urls = {template.template for links in all_links() for template in links.templates.values()}
    adapter = migrated_app.url_map.bind('localhost')
    assert '/api/users/{id}' in urls
    for url in urls:
        if not url.startswith('https://'):
            adapter.match(url.format_map(Ones()).partition('?')[0], method='GET')


def test_servers_do_not_depend_on_the_first_host(settings: Settings) -> None:
    response = create_app(settings).test_client().get('/apispec.json', headers={'Host': 'elsewhere.example'})
    assert json.loads(response.data)['servers'] == [{'url': '/', 'description': 'This server', 'x-internal': False}]


def examples_in(part: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the schema and value of each example in this part of the document."""
    if isinstance(part, dict):
        if 'schema' in part and 'example' in part:
            yield part['schema'], part['example']
        if isinstance(part.get('examples'), list):
            yield from ((part, example) for example in part['examples'])
        for inner in part.values():
            yield from examples_in(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from examples_in(inner)


def absolute(schema: Any) -> Any:
    """Return the schema with absolute references to the document."""
    return json.loads(json.dumps(schema).replace('"$ref": "#', f'"$ref": "{ROOT}#'))


def all_links(base: type[Schema] = Schema) -> Iterator[Links]:
    """Yield the links of all schemas."""
    for schema in base.__subclasses__():
        yield from (field for field in schema._declared_fields.values() if isinstance(field, Links))
        yield from all_links(schema)


class Ones(dict[str, int]):
    """A mapping that returns 1 for every variable of a URL template."""

    def __missing__(self, name: str) -> int:
        return 1
