"""The server's secrets: one key to sign with, older ones that are still recognised."""

import base64
import hmac
from collections.abc import Iterator

from cryptography.fernet import Fernet, MultiFernet


class Keyring:
    """Derives bytes from the server's secret, different for each purpose."""

    def __init__(self) -> None:
        self._keys: list[bytes] = []

    def load(self, key: str, fallbacks: tuple[str, ...] = ()) -> None:
        self._keys = [secret.encode() for secret in (key, *fallbacks)]

    def derive(self, purpose: str, data: bytes) -> bytes:
        """32 bytes that nobody can tell without the current key."""
        return self._digest(self._keys[0], purpose, data)

    def derive_all(self, purpose: str, data: bytes) -> Iterator[bytes]:
        """The same with the current key, then with each of the fallbacks."""
        return (self._digest(key, purpose, data) for key in self._keys)

    def encrypt(self, purpose: str, salt: bytes, data: bytes) -> bytes:
        """Nobody reads it who does not know one of the keys, and the salt."""
        return self._fernet(purpose, salt).encrypt(data)

    def decrypt(self, purpose: str, salt: bytes, data: bytes) -> bytes:
        return self._fernet(purpose, salt).decrypt(data)

    def _fernet(self, purpose: str, salt: bytes) -> MultiFernet:
        return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in self.derive_all(purpose, salt)])

    @staticmethod
    def _digest(key: bytes, purpose: str, data: bytes) -> bytes:
        return hmac.digest(key, purpose.encode() + b'\0' + data, 'sha256')


keyring = Keyring()
