"""The problem types, each with a page under `/problems/`.

Its URL is the `type` of problem details (RFC 9457). It is stable, so clients can choose their reaction by it.
"""

from http import HTTPStatus
from typing import NamedTuple

PROBLEMS: dict[str, 'Problem'] = {}


class Problem(NamedTuple):
    """A problem type. name: the last segment of its URL. message: the default for errors raised without a message."""

    name: str
    status: int
    message: str | None
    cause: str
    remedy: str

    @property
    def url(self) -> str:
        return f'/problems/{self.name}'

    @property
    def title(self) -> str:
        return HTTPStatus(self.status).phrase


def define_problem(name: str, status: int, message: str | None, cause: str, remedy: str) -> Problem:
    return PROBLEMS.setdefault(name, Problem(name, status, message, cause, remedy))


BAD_REQUEST = define_problem(
    'bad-request',
    400,
    None,
    'The request is not valid. For example, the server does not serve its `Host`.',
    'Compare the URL and the headers with the documentation.',
)
MALFORMED_BODY = define_problem(
    'malformed-body',
    400,
    'the body is not valid JSON',
    'The body is not valid JSON, or not a JSON object.',
    'Send one JSON object in UTF-8.',
)
INVALID_FIELDS = define_problem(
    'invalid-fields',
    400,
    'the request does not match its schema',
    'Fields of the body or query parameters are missing, of the wrong type, or out of range.',
    'See `errors` for the messages of each field.',
)
MISSING_FIELDS = define_problem(
    'missing-fields',
    400,
    'must include username, email and password fields',
    'The registration lacks a username, an e-mail address or a password.',
    'Send all three fields.',
)
USERNAME_TAKEN = define_problem(
    'username-taken',
    400,
    'please use a different username',
    'Another user has this username, possibly in different case.',
    'Choose a different username.',
)
EMAIL_TAKEN = define_problem(
    'email-taken',
    400,
    'please use a different email address',
    'Another user has registered with this e-mail address.',
    'Use a different address, or reset the password of the existing account.',
)
INVALID_CURSOR = define_problem(
    'invalid-cursor',
    400,
    'invalid pagination cursor',
    'The value of `after` or `before` is not a cursor that this server issued.',
    'Use cursors from links only, or start again with an empty `after`.',
)
UNKNOWN_FIELD = define_problem(
    'unknown-field',
    400,
    'unknown field',
    '`fields` contains an unknown field, or the same field twice.',
    'Use names of fields in the full response, separated by commas.',
)
WRONG_PASSWORD = define_problem(
    'wrong-password',
    400,
    'this is not your password',
    'The password in the body is not the current password of the account.',
    'Send the current password.',
)
INVALID_MAIL_TOKEN = define_problem(
    'invalid-mail-token',
    400,
    'this link is invalid or has expired',
    'The token from the e-mail is invalid, has expired or was used, or the account has changed since.',
    'Request another e-mail.',
)
CANNOT_FOLLOW_SELF = define_problem(
    'cannot-follow-self',
    400,
    'you cannot follow yourself',
    'The id is your own.',
    'Use the id of another user.',
)
REPLY_TARGET_NOT_FOUND = define_problem(
    'reply-target-not-found',
    400,
    'the post to reply to does not exist',
    'The post with the id `reply_to_id` was deleted or never existed.',
    'Omit `reply_to_id`, or reply to another post.',
)
SCOPE_ESCALATION = define_problem(
    'scope-escalation',
    400,
    'scopes cannot be added to a token',
    'The update of a personal access token contains scopes that the token does not have.',
    'Create a new token with these scopes.',
)
UNAUTHORIZED = define_problem(
    'unauthorized',
    401,
    None,
    'The credentials are missing, malformed, unknown, expired or revoked, or the account is closed.',
    'Get a token with `POST /api/tokens` and send it as `Authorization: Bearer <token>`.',
)
NOT_OWNER = define_problem(
    'not-owner',
    403,
    None,
    'Only the owner of the resource can change it.',
    'Use the credentials of the owner.',
)
INSUFFICIENT_SCOPE = define_problem(
    'insufficient-scope',
    403,
    'this token lacks a required scope',
    'The token is valid but does not have the scope for this operation.',
    '`WWW-Authenticate` names the missing scope. Use a token that has it.',
)
UNVERIFIED_EMAIL = define_problem(
    'unverified-email',
    403,
    'verify your e-mail address first',
    'This server requires a verified e-mail address for posting.',
    'Follow the link in the e-mail. `POST /api/email-verifications` sends another one.',
)
NOT_FOUND = define_problem(
    'not-found',
    404,
    None,
    'The resource does not exist or was deleted.',
    'Check the URL. Links in other responses lead to existing resources.',
)
METHOD_NOT_ALLOWED = define_problem(
    'method-not-allowed',
    405,
    None,
    'The URL exists but does not support this method.',
    '`Allow` lists the supported methods.',
)
NOT_ACCEPTABLE = define_problem(
    'not-acceptable',
    406,
    None,
    '`Accept` excludes all media types of the response.',
    'Omit `Accept`, or include `application/json` in it.',
)
TOO_MANY_TOKENS = define_problem(
    'too-many-tokens',
    409,
    'you have 50 personal access tokens, which is the maximum; revoke one first',
    'You have the maximum number of personal access tokens, including expired ones.',
    'Revoke a token.',
)
REQUEST_IN_PROGRESS = define_problem(
    'request-in-progress',
    409,
    'a request with this idempotency key is in progress',
    'Another request with the same `Idempotency-Key` has not finished.',
    'Retry after the number of seconds in `Retry-After`.',
)
PRECONDITION_FAILED = define_problem(
    'precondition-failed',
    412,
    'the resource has changed since you read it',
    '`If-Match` does not match the current version of the resource, which was changed.',
    'Read the resource again and repeat your change if it still applies.',
)
BODY_TOO_LARGE = define_problem(
    'body-too-large',
    413,
    None,
    'The body is larger than this server accepts.',
    'Send a smaller body.',
)
UNSUPPORTED_MEDIA_TYPE = define_problem(
    'unsupported-media-type',
    415,
    None,
    'The operation does not accept the media type of the body.',
    'Set `Content-Type` to the documented media type.',
)
RANGE_NOT_SATISFIABLE = define_problem(
    'range-not-satisfiable',
    416,
    None,
    'The file does not contain the bytes that `Range` selects.',
    'Omit `Range`.',
)
IDEMPOTENCY_KEY_REUSED = define_problem(
    'idempotency-key-reused',
    422,
    'this idempotency key belongs to a different request',
    'The `Idempotency-Key` was used for a different request.',
    'Use a new key for each request. Reuse a key only to retry the same request.',
)
TOO_MANY_REQUESTS = define_problem(
    'too-many-requests',
    429,
    None,
    'You, or another client at your address, sent too many requests.',
    'Wait for the number of seconds in `Retry-After`. `RateLimit` states how many requests remain.',
)
INTERNAL_ERROR = define_problem(
    'internal-error',
    500,
    None,
    'Internal server error. Nothing was saved.',
    'Report the `X-Request-ID` to the operator.',
)
UNAVAILABLE = define_problem(
    'unavailable',
    503,
    None,
    'The server is temporarily unavailable or overloaded. Nothing was saved.',
    'Retry after the number of seconds in `Retry-After`.',
)

# The problem types of errors for which only the status is known, such as those of Werkzeug.
DEFAULT_BY_STATUS = {
    problem.status: problem
    for problem in (
        BAD_REQUEST,
        UNAUTHORIZED,
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        BODY_TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE,
        RANGE_NOT_SATISFIABLE,
        INTERNAL_ERROR,
    )
}
