"""The contract itself: the document, and how it changed."""

from typing import Any

from flask import Blueprint, Response, request

from api.http.openapi.document import current_openapi_document
from api.http.responses import response
from api.schemas.changelog import ChangelogSchema

changelog = Blueprint('changelog', __name__)


@changelog.get('/apispec.json')
def document() -> Response:
    response = Response(current_openapi_document().content, mimetype='application/json')
    response.set_etag(current_openapi_document().digest)
    response.make_conditional(request)
    return response


@changelog.get('/api/changelog')
@response(ChangelogSchema)
def index() -> dict[str, Any]:
    """List the changes of this API

    What each release changed, found by comparing its OpenAPI document with the one before. Every answer of the API has
    the digest of the document in `API-Contract`: where it is another than before, look here.
    """
    return {'items': current_openapi_document().releases}
