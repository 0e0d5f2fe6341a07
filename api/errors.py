"""The one way to fail: raise an ApiError anywhere, and the edge makes the answer."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from api.problems import INSUFFICIENT_SCOPE, NOT_FOUND, UNAUTHORIZED, Problem

FieldErrors = Mapping[str, Sequence[str]]


class ApiError(Exception):
    """A request that ends with an error.

    problem: its kind, which has the status. message: what is wrong, for the client, where the kind does not say it.
    errors: messages by field. headers: added to the answer.
    """

    def __init__(
        self,
        problem: Problem,
        message: str | None = None,
        errors: FieldErrors | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        self.message = message or problem.message
        super().__init__(problem.name, self.message)
        self.problem = problem
        self.status = HTTPStatus(problem.status)
        self.errors = errors
        self.headers = headers or {}


class NotFoundError(ApiError):
    def __init__(self) -> None:
        super().__init__(NOT_FOUND)


class InsufficientScopeError(ApiError):
    """403 for a token that lacks these scopes, which have blanks between them (RFC 6750)."""

    def __init__(self, scopes: str):
        challenge = f'Bearer error="insufficient_scope", scope="{scopes}"'
        super().__init__(INSUFFICIENT_SCOPE, headers={'WWW-Authenticate': challenge})


class UnauthorizedError(ApiError):
    """401 where credentials do not work, or ended after they had been looked up. The edge adds the challenge."""

    def __init__(self) -> None:
        super().__init__(UNAUTHORIZED)
