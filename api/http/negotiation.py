"""Which form of an answer the client likes best."""

from flask import request
from werkzeug.datastructures import MIMEAccept

from api.errors import ApiError
from api.problems import NOT_ACCEPTABLE

JSON, PROBLEM = 'application/json', 'application/problem+json'
# Of an answer that has only some of its members: the document promises all of them in the other.
PARTIAL_JSON = 'application/vnd.microblog.part+json'
ALWAYS_ACCEPTABLE = {None, '*/*', JSON}


def require_acceptable(media_type: str = JSON) -> None:
    """406 where the client rules out the one form that there is. Who names some kind of our JSON likes it all."""
    if request.environ.get('HTTP_ACCEPT') in ALWAYS_ACCEPTABLE:
        return
    accept, candidates = parse_accept(), (JSON, PARTIAL_JSON, PROBLEM) if media_type == JSON else (media_type,)
    # Where nothing can be read of it, nothing is ruled out.
    if accept and not any(accept.quality(candidate) for candidate in candidates):
        raise ApiError(NOT_ACCEPTABLE)


def prefers_html() -> bool:
    accept = parse_accept()
    return accept.quality('text/html') > max(accept.quality(JSON), problem_quality())


def prefers_problem() -> bool:
    quality = problem_quality()
    return quality > 0 and quality >= parse_accept().quality(JSON)


def parse_accept() -> MIMEAccept:
    """What the client accepts; parameters of media types (`; charset=utf-8`) make no difference to us."""
    return MIMEAccept([(value.partition(';')[0].strip(), quality) for value, quality in request.accept_mimetypes])


def problem_quality() -> float:
    """How much the client likes problem details; 0 where it does not name them, a wildcard is not enough."""
    return max((quality for value, quality in parse_accept() if value.lower() == PROBLEM), default=0)
