"""The kinds of failure that there are, each with a page of its own under `/problems/`.

A kind is the `type` of problem details (RFC 9457): it is stable, so that clients can tell what to do.
"""

from http import HTTPStatus
from typing import NamedTuple

PROBLEMS: dict[str, 'Problem'] = {}


class Problem(NamedTuple):
    """name: the last part of its URL. message: what is said where whoever raises it says nothing else."""

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
    'The request cannot be understood: its `Host`, for one, is not one that this server answers to.',
    'Compare the URL and the headers with the documentation.',
)
MALFORMED_BODY = define_problem(
    'malformed-body',
    400,
    'the body is not valid JSON',
    'The body is not JSON, or not an object.',
    'Send one JSON object, in UTF-8.',
)
INVALID_FIELDS = define_problem(
    'invalid-fields',
    400,
    'the request does not fit its schema',
    'Members of the body, or parameters of the query, are missing, of another type, or out of range.',
    'The member `errors` names each and says what is wrong with it.',
)
MISSING_FIELDS = define_problem(
    'missing-fields',
    400,
    'must include username, email and password fields',
    'A registration lacks a username, an e-mail address or a password.',
    'Send all three.',
)
USERNAME_TAKEN = define_problem(
    'username-taken',
    400,
    'please use a different username',
    'Somebody has this username, perhaps in capital letters.',
    'Choose another.',
)
EMAIL_TAKEN = define_problem(
    'email-taken',
    400,
    'please use a different email address',
    'Somebody has registered with this e-mail address.',
    'Use another, or ask for a reset of the password that belongs to it.',
)
INVALID_CURSOR = define_problem(
    'invalid-cursor',
    400,
    'this position was never given out for this collection',
    'The value of `after` or `before` does not come from a link of this collection.',
    'Take positions from links only, or begin anew with an empty `after`.',
)
UNKNOWN_FIELD = define_problem(
    'unknown-field',
    400,
    'there is no such member',
    '`fields` names a member that these items do not have, or one of them twice.',
    'Name members as they stand in the whole answer, with commas between them.',
)
WRONG_PASSWORD = define_problem(
    'wrong-password',
    400,
    'this is not your password',
    'The password in the body is not that of the account.',
    'Send the password that the account has now.',
)
INVALID_MAIL_TOKEN = define_problem(
    'invalid-mail-token',
    400,
    'this link is not valid, or not any more',
    'The token from a mail was used, came too late, or the account has changed since.',
    'Ask for another mail.',
)
CANNOT_FOLLOW_SELF = define_problem(
    'cannot-follow-self',
    400,
    'nobody follows themselves',
    'The id is your own.',
    'Follow somebody else.',
)
REPLY_TARGET_NOT_FOUND = define_problem(
    'reply-target-not-found',
    400,
    'there is no post to reply to',
    'The post that `reply_to_id` names was deleted, or never was.',
    'Write it without `reply_to_id`, or answer another.',
)
SCOPE_ESCALATION = define_problem(
    'scope-escalation',
    400,
    'a token is never given more than it has',
    'A change of a personal access token names scopes that it does not have.',
    'Make a new token that has them.',
)
UNAUTHORIZED = define_problem(
    'unauthorized',
    401,
    None,
    'There are no credentials, or none that work: mistyped, expired, revoked, or those of an account that is closed.',
    'Get a token by `POST /api/tokens` and send it as `Authorization: Bearer <token>`.',
)
NOT_OWNER = define_problem(
    'not-owner',
    403,
    None,
    'Only its owner may do this.',
    'Use the credentials of the owner.',
)
INSUFFICIENT_SCOPE = define_problem(
    'insufficient-scope',
    403,
    'the token has not the scope for this',
    'The token works, but was not made for this.',
    '`WWW-Authenticate` names what it lacks. Make a token that has it.',
)
UNVERIFIED_EMAIL = define_problem(
    'unverified-email',
    403,
    'verify your e-mail address first',
    'This server wants an e-mail address to be verified before its user posts.',
    'Follow the link in the mail; `POST /api/email-verifications` has another sent.',
)
NOT_FOUND = define_problem(
    'not-found',
    404,
    None,
    'There is nothing at this URL, or nothing any more.',
    'Look at the URL again; links of other answers lead to what there is.',
)
METHOD_NOT_ALLOWED = define_problem(
    'method-not-allowed',
    405,
    None,
    'The URL exists, but not for this method.',
    '`Allow` says which methods there are.',
)
NOT_ACCEPTABLE = define_problem(
    'not-acceptable',
    406,
    None,
    '`Accept` rules out every form that the answer could have.',
    'Leave `Accept` out, or have it allow `application/json`.',
)
TOO_MANY_TOKENS = define_problem(
    'too-many-tokens',
    409,
    'nobody has more than 50 personal access tokens; revoke one first',
    'You have as many personal access tokens as one may have, expired ones included.',
    'Revoke one.',
)
REQUEST_IN_PROGRESS = define_problem(
    'request-in-progress',
    409,
    'a request with this key is being answered',
    'A request with the same `Idempotency-Key` has begun and not ended.',
    'Send it again after the seconds in `Retry-After`.',
)
PRECONDITION_FAILED = define_problem(
    'precondition-failed',
    412,
    'it has changed since you read it',
    'What `If-Match` names is not how things are any more: somebody changed it.',
    'Read it again, and decide again.',
)
BODY_TOO_LARGE = define_problem(
    'body-too-large',
    413,
    None,
    'The body has more bytes than this server reads.',
    'Send less.',
)
UNSUPPORTED_MEDIA_TYPE = define_problem(
    'unsupported-media-type',
    415,
    None,
    'The body is not of the media type that the operation takes.',
    'Set `Content-Type` as the documentation says.',
)
RANGE_NOT_SATISFIABLE = define_problem(
    'range-not-satisfiable',
    416,
    None,
    'The file has not the bytes that `Range` names.',
    'Leave `Range` out.',
)
IDEMPOTENCY_KEY_REUSED = define_problem(
    'idempotency-key-reused',
    422,
    'this key belongs to another request',
    'The `Idempotency-Key` was used for a request that was not the same.',
    'Make a new key for each request; send it again only with the very same request.',
)
TOO_MANY_REQUESTS = define_problem(
    'too-many-requests',
    429,
    None,
    'You, or somebody at your address, asked too often.',
    'Wait for the seconds in `Retry-After`. `RateLimit` tells beforehand how often you still may.',
)
INTERNAL_ERROR = define_problem(
    'internal-error',
    500,
    None,
    'A fault of the server. Nothing of the request was kept.',
    'Tell the operator the `X-Request-ID`.',
)
UNAVAILABLE = define_problem(
    'unavailable',
    503,
    None,
    'The server is out of order for a moment, or overloaded. Nothing of the request was kept.',
    'Send it again after the seconds in `Retry-After`.',
)

# What stands for errors of which nothing but the status is known.
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
