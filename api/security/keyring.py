"""The server's keys: one current key, and fallbacks that are still accepted."""

import base64
import hmac
from collections.abc import Iterator

from cryptography.fernet import Fernet, MultiFernet


class Keyring:
    """The server's keys, from which a different key is derived for each purpose."""

    def __init__(self) -> None:
        self._keys: list[bytes] = []

    def load(self, key: str, fallbacks: tuple[str, ...] = ()) -> None:
        self._keys = [secret.encode() for secret in (key, *fallbacks)]

    def derive(self, purpose: str, data: bytes) -> bytes:
        """Return the HMAC-SHA256 under the current key: 32 bytes."""
        return self._digest(self._keys[0], purpose, data)

    def derive_all(self, purpose: str, data: bytes) -> Iterator[bytes]:
        """Yield the HMAC-SHA256 under the current key, then under each fallback."""
        return (self._digest(key, purpose, data) for key in self._keys)

    def encrypt(self, purpose: str, salt: bytes, data: bytes) -> bytes:
        """Return the data encrypted under the current key and the salt. Decryption needs that key and the same salt."""
        return self._fernet(purpose, salt).encrypt(data)

    def decrypt(self, purpose: str, salt: bytes, data: bytes) -> bytes:
        return self._fernet(purpose, salt).decrypt(data)

    def _fernet(self, purpose: str, salt: bytes) -> MultiFernet:
        return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in self.derive_all(purpose, salt)])

    @staticmethod
    def _digest(key: bytes, purpose: str, data: bytes) -> bytes:
        return hmac.digest(key, purpose.encode() + b'\0' + data, 'sha256')


keyring = Keyring()
