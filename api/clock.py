"""The current time, in one place, so that tests can replace it."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Return the current time in UTC, truncated to seconds, which is the precision of the API."""
    return datetime.now(UTC).replace(microsecond=0)
