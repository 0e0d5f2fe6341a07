"""Validate responses against the OpenAPI document. A response that it does not declare fails the test that got it."""

import json
import re
from functools import cache
from typing import Any

import jsonschema_rs
from flask import Flask
from jsonschema import FormatChecker
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.test import TestResponse

ROOT = 'urn:document'
# Headers that every message or connection has. OpenAPI describes Content-Type by other means.
GENERIC_HEADERS = {'Content-Type', 'Content-Length', 'Date', 'Connection'}
formats = FormatChecker()


@formats.checks('date-time')
def is_utc_date_time(value: object) -> bool:
    return not isinstance(value, str) or value.endswith('+00:00')


class Document:
    """The OpenAPI document, made strict: an undeclared field is an error."""

    def __init__(self, app: Flask):
        self.app = app
        self.document = json.loads(app.test_client().get('/apispec.json').data)
        for schema in self.document['components']['schemas'].values():
            schema.setdefault('additionalProperties', False)
        self.compiled = jsonschema_rs.Registry([(ROOT, self.document)])
        self.validator = cache(self.make_validator)
        self.operations = {
            (method, path): operation
            for path, operations in self.document['paths'].items()
            for method, operation in operations.items()
        }

    def check(self, method: str, path: str, response: TestResponse) -> None:
        """Raise AssertionError or ValidationError if the document does not declare this response to this request."""
        operation = self.operation(method, path)
        if operation is None or method == 'OPTIONS':
            return
        declared = operation['responses'].get(str(response.status_code))
        assert declared is not None, f'{method} {path}: {response.status_code} is not declared'
        declared = self.resolve(declared)
        headers = self.document['x-headers'] | declared.get('headers', {})
        self.check_headers(f'{method} {path} {response.status_code}', headers, response)
        if response.status_code >= 400:
            problem_type = response.headers['Link'].partition('>')[0][1:]
            assert problem_type in operation['x-problems'], f'{method} {path}: {problem_type} is not declared'
        if 'content' not in declared:
            assert not response.data, f'{method} {path}: a body is not declared'
        elif method != 'HEAD':
            self.check_body(declared['content'], response)

    def check_headers(self, what: str, declared: dict[str, Any], response: TestResponse) -> None:
        for name, header in declared.items():
            assert name in response.headers or not self.resolve(header)['required'], f'{what}: {name} is missing'
        for name, value in response.headers.items():
            assert name in declared or name in GENERIC_HEADERS, f'{what}: {name} is not declared'
            if name in declared:
                ref = declared[name].get('$ref', f'#/x-headers/{name}')
                self.validator(f'{ref}/schema').validate(value)

    def check_body(self, content: dict[str, Any], response: TestResponse) -> None:
        assert response.mimetype in content, f'{response.mimetype} is not declared'
        if response.mimetype.endswith(('json', 'jsonl')):
            validator = self.validator(content[response.mimetype]['schema']['$ref'])
            for value in [response.json] if response.is_json else map(json.loads, response.text.splitlines()):
                validator.validate(value)

    def make_validator(self, ref: str) -> jsonschema_rs.Draft202012Validator:
        """Return a compiled validator. Each is compiled once: otherwise a check takes as long as many requests."""
        return jsonschema_rs.Draft202012Validator(
            {'$ref': ROOT + ref}, registry=self.compiled, formats={'date-time': is_utc_date_time}, validate_formats=True
        )

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """Return the operation of a request, or None outside the API.

        For a method that its URL does not allow, it is the operation of another method of the URL.
        """
        adapter = self.app.url_map.bind('localhost')
        wanted = 'GET' if method == 'HEAD' else method
        try:
            rule, _ = adapter.match(path, method=wanted, return_rule=True)
        except MethodNotAllowed as error:
            wanted = sorted(set(error.valid_methods or ()) - {'HEAD', 'OPTIONS'})[0]
            rule, _ = adapter.match(path, method=wanted, return_rule=True)
        except HTTPException:
            return None
        template = re.sub(r'<(?:[^:>]+:)?([^>]+)>', r'{\1}', rule.rule)
        return self.operations.get((wanted.lower(), template))

    def resolve(self, part: dict[str, Any]) -> dict[str, Any]:
        if '$ref' not in part:
            return part
        section, name = part['$ref'].split('/')[-2:]
        found: dict[str, Any] = self.document['components'][section][name]
        return found
