"""The one way to fail: raise an ApiError anywhere, and the edge makes the answer."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

FieldErrors = Mapping[str, Sequence[str]]


class ApiError(Exception):
    """A request that ends with an error.

    status: the HTTP status. message: what is wrong, for the client; None where there is nothing to add.
    errors: messages by field. headers: added to the answer.
    """

    def __init__(
        self,
        status: int,
        message: str | None = None,
        errors: FieldErrors | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(status, message)
        self.status = HTTPStatus(status)
        self.message = message
        self.errors = errors
        self.headers = headers or {}


class InsufficientScopeError(ApiError):
    """403 for a token that lacks these scopes, which have blanks between them (RFC 6750)."""

    def __init__(self, scopes: str):
        challenge = f'Bearer error="insufficient_scope", scope="{scopes}"'
        super().__init__(403, 'the token has not the scope for this', headers={'WWW-Authenticate': challenge})


class UnauthorizedError(ApiError):
    """401 where credentials ended after they had been looked up. The edge adds the challenge, as to any 401."""

    def __init__(self) -> None:
        super().__init__(401)
