"""The contract, by which clients notice that it changed: every answer has the digest of the document."""

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
    """The document of an application, made when it is first asked for, because routes are added until then."""

    def __init__(self, apifairy: APIFairy):
        self.apifairy = apifairy
        self.lock = Lock()

    @cached_property
    def content(self) -> bytes:
        """As it is served."""
        # APIFairy shows to other threads what is not complete yet, and asks for the URL of the request, which need not
        # be one of ours.
        with self.lock, current_app.test_request_context():
            request.trusted_hosts = None
            return orjson.dumps(self.apifairy.apispec)

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:32]

    @cached_property
    def releases(self) -> list[Release]:
        return changelog(orjson.loads(self.content))


def init_openapi_document(app: Flask, apifairy: APIFairy) -> None:
    app.extensions['openapi_document'] = OpenAPIDocument(apifairy)


def current_openapi_document() -> OpenAPIDocument:
    document: OpenAPIDocument = current_app.extensions['openapi_document']
    return document


def add_digest_header(request: Request, response: ApiResponse) -> None:
    response.add_unchecked((DIGEST_HEADER, current_openapi_document().digest))
