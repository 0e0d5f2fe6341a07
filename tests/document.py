"""Holds answers against the document: what it does not allow fails the test that saw it."""

import json
from functools import cache
from typing import Any

import jsonschema_rs
from flask import Flask
from jsonschema import FormatChecker
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.test import TestResponse

ROOT = 'urn:document'
# Of every message, or of the connection; OpenAPI has the first by other means.
OF_HTTP = {'Content-Type', 'Content-Length', 'Date', 'Connection'}
formats = FormatChecker()


@formats.checks('date-time')
def is_moment(value: object) -> bool:
    return not isinstance(value, str) or value.endswith('+00:00')


class Document:
    """The OpenAPI document, made strict: a member that it does not name is an error."""

    def __init__(self, app: Flask):
        self.app = app
        self.document = json.loads(app.test_client().get('/apispec.json').data)
        for schema in self.document['components']['schemas'].values():
            schema.setdefault('additionalProperties', False)
        self.compiled = jsonschema_rs.Registry([(ROOT, self.document)])
        self.validator = cache(self.make_validator)
        self.operations = {
            operation['operationId']: operation
            for path in self.document['paths'].values()
            for operation in path.values()
        }

    def check(self, method: str, path: str, answer: TestResponse) -> None:
        """Fails where the document does not allow this answer to this request."""
        operation = self.operation(method, path)
        if operation is None or method == 'OPTIONS':
            return
        declared = operation['responses'].get(str(answer.status_code))
        assert declared is not None, f'{method} {path}: {answer.status_code} is not declared'
        declared = self.resolve(declared)
        headers = self.document['x-headers'] | declared.get('headers', {})
        self.check_headers(f'{method} {path} {answer.status_code}', headers, answer)
        if answer.status_code >= 400:
            kind = answer.headers['Link'].partition('>')[0][1:]
            assert kind in operation['x-problems'], f'{method} {path}: {kind} is not declared'
        if 'content' not in declared:
            assert not answer.data, f'{method} {path}: a body is not declared'
        elif method != 'HEAD':
            self.check_body(declared['content'], answer)

    def check_headers(self, what: str, declared: dict[str, Any], answer: TestResponse) -> None:
        for name, header in declared.items():
            assert name in answer.headers or not self.resolve(header)['required'], f'{what}: {name} is missing'
        for name, value in answer.headers.items():
            assert name in declared or name in OF_HTTP, f'{what}: {name} is not declared'
            if name in declared:
                ref = declared[name].get('$ref', f'#/x-headers/{name}')
                self.validator(f'{ref}/schema').validate(value)

    def check_body(self, content: dict[str, Any], answer: TestResponse) -> None:
        assert answer.mimetype in content, f'{answer.mimetype} is not declared'
        if answer.mimetype.endswith(('json', 'jsonl')):
            validator = self.validator(content[answer.mimetype]['schema']['$ref'])
            for value in [answer.json] if answer.is_json else map(json.loads, answer.text.splitlines()):
                validator.validate(value)

    def make_validator(self, ref: str) -> jsonschema_rs.Draft202012Validator:
        """Compiled, and once for each schema: otherwise a check takes as long as many a request does."""
        return jsonschema_rs.Draft202012Validator(
            {'$ref': ROOT + ref}, registry=self.compiled, formats={'date-time': is_moment}, validate_formats=True
        )

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """The operation for a request, or for a method that its URL does not have another; None outside of the API."""
        adapter = self.app.url_map.bind('localhost')
        wanted = 'GET' if method == 'HEAD' else method
        try:
            endpoint = adapter.match(path, method=wanted)[0]
        except MethodNotAllowed as error:
            endpoint = adapter.match(path, method=next(iter(error.valid_methods or ())))[0]
        except HTTPException:
            return None
        return self.operations.get(str(endpoint).replace('.', '_'))

    def resolve(self, part: dict[str, Any]) -> dict[str, Any]:
        if '$ref' not in part:
            return part
        kind, name = part['$ref'].split('/')[-2:]
        found: dict[str, Any] = self.document['components'][kind][name]
        return found
