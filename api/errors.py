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
