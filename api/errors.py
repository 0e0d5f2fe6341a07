"""Exceptions that become error responses: any layer raises them, api.http.errors renders them."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from api.problems import INSUFFICIENT_SCOPE, NOT_FOUND, UNAUTHORIZED, Problem

FieldErrors = Mapping[str, Sequence[str]]


class ApiError(Exception):
    """An error response.

    problem: the problem type, which has the status. message: what is wrong, for the client; default: the message of the
    problem type. errors: messages by field. headers: added to the response.
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
    """404 for a resource that does not exist."""

    def __init__(self) -> None:
        super().__init__(NOT_FOUND)


class InsufficientScopeError(ApiError):
    """403 for a token that lacks `scopes`, which are separated by spaces (RFC 6750)."""

    def __init__(self, scopes: str):
        challenge = f'Bearer error="insufficient_scope", scope="{scopes}"'
        super().__init__(INSUFFICIENT_SCOPE, headers={'WWW-Authenticate': challenge})


class UnauthorizedError(ApiError):
    """401 for invalid credentials, or credentials revoked after they were checked.

    api.http.errors adds `WWW-Authenticate`.
    """

    def __init__(self) -> None:
        super().__init__(UNAUTHORIZED)
