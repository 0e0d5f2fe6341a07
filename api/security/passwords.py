"""Password policy, hashing and verification."""

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from zxcvbn.frequency_lists import FREQUENCY_LISTS

# The argon2id parameters that OWASP recommends, with one lane.
PASSES = 2
MEMORY_KIB = 19 * 1024


class PasswordService:
    """The password policy, and hashing and verification with argon2id."""

    def __init__(self) -> None:
        self.min_length = 8
        self._common_passwords = frozenset(FREQUENCY_LISTS['passwords'])
        self.set_cost(passes=PASSES, memory_kib=MEMORY_KIB)

    def set_cost(self, *, passes: int, memory_kib: int) -> None:
        """Hash new passwords with these argon2id parameters. Existing hashes are renewed at the next log-in."""
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        # Verified for an unknown username, so that the response takes as long as for a known one.
        self._placeholder_hash = self._hasher.hash('')

    def find_weakness(self, password: str) -> str | None:
        """Return an error message for a new password, or None if it is acceptable."""
        if len(password) < self.min_length:
            return f'Shorter than minimum length {self.min_length}.'
        if password.lower() in self._common_passwords:
            return 'Among the most common passwords.'
        return None

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Return whether the password matches the hash. For None, return False after the same time."""
        try:
            self._hasher.verify(password_hash or self._placeholder_hash, password)
        except (Argon2Error, InvalidHashError):
            return False
        return password_hash is not None

    def needs_rehash(self, password_hash: str) -> bool:
        """Return whether the hash was created with parameters other than the current ones."""
        return self._hasher.check_needs_rehash(password_hash)


passwords = PasswordService()
