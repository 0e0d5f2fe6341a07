"""The time, in one place, so that a test can move it."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Now, in UTC, to the second: as fine as the API tells time."""
    return datetime.now(UTC).replace(microsecond=0)
