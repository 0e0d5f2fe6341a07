"""The OpenAPI document and its changes."""

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
    """List the changes of the API

    Lists the changes of each release, found by comparing its OpenAPI document with the previous one. Every response of
    the API has the digest of the document in `API-Contract`. If the digest differs from the last one, see this list.
    """
    return {'items': current_openapi_document().releases}
