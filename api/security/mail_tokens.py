"""Tokens for links in mails. They are signed, not stored: the database holds no usable token.

A token is signed for a purpose, a user and a state of their account. It is invalid once it has expired or that state
has changed.
"""

import base64
import hmac
from datetime import timedelta

from api.clock import utcnow
from api.errors import ApiError
from api.problems import INVALID_MAIL_TOKEN
from api.security.keyring import keyring

EMAIL_VERIFICATION, PASSWORD_RESET = 'email verification', 'password reset'
LIFETIMES = {EMAIL_VERIFICATION: timedelta(days=1), PASSWORD_RESET: timedelta(minutes=10)}


class InvalidMailTokenError(ApiError):
    """Error 400 for a token that was never sent, was already used or has expired."""

    def __init__(self) -> None:
        super().__init__(INVALID_MAIL_TOKEN)


def sign_mail_token(purpose: str, user_id: int, state: str) -> str:
    """Return a URL-safe token of 64 characters. Its lifetime starts now."""
    expires_at = int((utcnow() + LIFETIMES[purpose]).timestamp())
    payload = user_id.to_bytes(8, 'big') + expires_at.to_bytes(8, 'big')
    return base64.urlsafe_b64encode(payload + keyring.derive(purpose, payload + state.encode())).decode()


class MailToken:
    """A received token from a mail. Its signature can be verified only with the state of the user."""

    def __init__(self, purpose: str, token: str):
        raw = base64.urlsafe_b64decode(token)
        self._purpose, self._payload, self._signature = purpose, raw[:16], raw[16:]
        self.user_id = int.from_bytes(raw[:8], 'big', signed=True)
        self._expires_at = int.from_bytes(raw[8:16], 'big')

    def check(self, state: str | None) -> None:
        """Raise InvalidMailTokenError (400) if the token was not signed for this state or has expired.

        state: None if there is no such user.
        """
        signatures = keyring.derive_all(self._purpose, self._payload + (state or '').encode())
        is_signed = any(hmac.compare_digest(self._signature, candidate) for candidate in signatures)
        if state is None or not is_signed or self._expires_at <= utcnow().timestamp():
            raise InvalidMailTokenError
