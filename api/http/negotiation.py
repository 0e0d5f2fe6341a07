"""Content negotiation: the media types that the client accepts."""

from flask import request
from werkzeug.datastructures import MIMEAccept

from api.errors import ApiError
from api.problems import NOT_ACCEPTABLE

JSON, PROBLEM = 'application/json', 'application/problem+json'
# The media type of sparse fieldsets: the schema of application/json requires all fields.
PARTIAL_JSON = 'application/vnd.microblog.part+json'
ALWAYS_ACCEPTABLE = {None, '*/*', JSON}


def require_acceptable(media_type: str = JSON) -> None:
    """Raise 406 if the client does not accept `media_type`.

    A client that accepts one of the JSON media types of the API accepts all of them.
    """
    if request.environ.get('HTTP_ACCEPT') in ALWAYS_ACCEPTABLE:
        return
    accept, candidates = parse_accept(), (JSON, PARTIAL_JSON, PROBLEM) if media_type == JSON else (media_type,)
    # An `Accept` that cannot be parsed rules nothing out.
    if accept and not any(accept.quality(candidate) for candidate in candidates):
        raise ApiError(NOT_ACCEPTABLE)


def prefers_html() -> bool:
    """Return whether the client prefers HTML to both kinds of JSON errors; False if there is a tie."""
    accept = parse_accept()
    return accept.quality('text/html') > max(accept.quality(JSON), problem_quality())


def prefers_problem() -> bool:
    """Return whether the client names problem details and prefers them at least as much as JSON."""
    quality = problem_quality()
    return quality > 0 and quality >= parse_accept().quality(JSON)


def parse_accept() -> MIMEAccept:
    """Return the parsed `Accept` header. Parameters of media types (`; charset=utf-8`) are ignored."""
    return MIMEAccept([(value.partition(';')[0].strip(), quality) for value, quality in request.accept_mimetypes])


def problem_quality() -> float:
    """Return the quality (0 to 1) of problem details; 0 if `Accept` does not name them, even with a wildcard."""
    return max((quality for value, quality in parse_accept() if value.lower() == PROBLEM), default=0)
