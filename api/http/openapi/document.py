"""The OpenAPI document and its digest, which every response has in `API-Contract` so that clients notice changes."""

import hashlib
from functools import cached_property
from threading import Lock

import orjson
from apifairy import APIFairy
from flask import Flask, Request, current_app, request

from api.http.application import ApiResponse
from api.openapi_diff.releases import Release, changelog

DIGEST_HEADER = 'API-Contract'


class OpenAPIDocument:
    """The document of an application, generated at its first use, when all routes are registered."""

    def __init__(self, apifairy: APIFairy):
        self.apifairy = apifairy
        self.lock = Lock()

    @cached_property
    def content(self) -> bytes:
        """The document as served: JSON in UTF-8."""
        # The lock hides the incomplete document from other threads. The new request context is for APIFairy, which
        # reads the URL of the current request, whose host may be untrusted.
        with self.lock, current_app.test_request_context():
            request.trusted_hosts = None
            return orjson.dumps(self.apifairy.apispec)

    @cached_property
    def digest(self) -> str:
        """The first 32 hex digits of the SHA-256 of the document."""
        return hashlib.sha256(self.content).hexdigest()[:32]

    @cached_property
    def releases(self) -> list[Release]:
        """The entries of the changelog."""
        return changelog(orjson.loads(self.content))


def init_openapi_document(app: Flask, apifairy: APIFairy) -> None:
    app.extensions['openapi_document'] = OpenAPIDocument(apifairy)


def current_openapi_document() -> OpenAPIDocument:
    document: OpenAPIDocument = current_app.extensions['openapi_document']
    return document


def add_digest_header(request: Request, response: ApiResponse) -> None:
    response.add_unchecked((DIGEST_HEADER, current_openapi_document().digest))
