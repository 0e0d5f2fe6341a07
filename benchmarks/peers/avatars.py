"""Avatar URLs."""

import hashlib


def avatar(email: str) -> str:
    digest = hashlib.sha256(email.lower().encode()).hexdigest()
    return f'https://www.gravatar.com/avatar/{digest}?d=identicon&s=128'
