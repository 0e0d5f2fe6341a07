"""The contract, by which clients notice that it changed: every answer has the digest of the document."""

import hashlib
from functools import cached_property
from threading import Lock

import orjson
from apifairy import APIFairy
from flask import Flask, Request, current_app, request

from api.contract.releases import Release, changelog
from api.edge.application import Answer

HEADER = 'API-Contract'


class Contract:
    """The document of an application, made when it is first asked for, because routes are added until then."""

    def __init__(self, apifairy: APIFairy):
        self.apifairy = apifairy
        self.lock = Lock()

    @cached_property
    def document(self) -> bytes:
        """As it is served."""
        # APIFairy shows to other threads what is not complete yet, and asks for the URL of the request, which need not
        # be one of ours.
        with self.lock, current_app.test_request_context():
            request.trusted_hosts = None
            return orjson.dumps(self.apifairy.apispec)

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.document).hexdigest()[:32]

    @cached_property
    def releases(self) -> list[Release]:
        return changelog(orjson.loads(self.document))


def keep_contract(app: Flask, apifairy: APIFairy) -> None:
    app.extensions['contract'] = Contract(apifairy)


def contract_of_app() -> Contract:
    contract: Contract = current_app.extensions['contract']
    return contract


def tell_contract(request: Request, answer: Answer) -> None:
    answer.add_unchecked((HEADER, contract_of_app().digest))
