"""A test client that checks every response against the OpenAPI document."""

import base64
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.document import Document
from tests.support.survivors import no_process_survives  # noqa: F401

PASSWORD = 'correct horse battery'


issued_tokens: set[str] = set()


class Client(FlaskClient):
    """A client that checks every response against the document and sends its token, if it has one."""

    document: Document
    token: str | None = None
    id: int

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        if self.token:
            kwargs['headers'] = {'Authorization': f'Bearer {self.token}'} | dict(kwargs.get('headers') or {})
        response = super().open(*args, **kwargs)
        self.document.check(response.request.method, response.request.path, response)
        if response.status_code < 300 and response.is_json and response.data and 'token' in (response.json or {}):
            issued_tokens.add(response.json['token'])
        return response

    def ask_for_token(self, username: str, password: str = PASSWORD) -> TestResponse:
        return self.post('/api/tokens', headers=basic(username, password))


def basic(username: str, password: str) -> dict[str, str]:
    credentials = base64.b64encode(f'{username}:{password}'.encode()).decode()
    return {'Authorization': f'Basic {credentials}'}
