"""The contract itself: the document, and how it changed."""

from typing import Any

from flask import Blueprint, Response, request

from api.edge.answers import response
from api.edge.contract import contract_of_app
from api.schemas.contract import ChangelogSchema

contract = Blueprint('contract', __name__)


@contract.get('/apispec.json')
def document() -> Response:
    answer = Response(contract_of_app().document, mimetype='application/json')
    answer.set_etag(contract_of_app().digest)
    answer.make_conditional(request)
    return answer


@contract.get('/api/changelog')
@response(ChangelogSchema)
def changelog() -> dict[str, Any]:
    """List the changes of this API

    What each release changed, found by comparing its OpenAPI document with the one before. Every answer of the API has
    the digest of the document in `API-Contract`: where it is another than before, look here.
    """
    return {'items': contract_of_app().releases}
