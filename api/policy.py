"""Permission rules, all in one place."""


def may_change_account(actor_id: int, user_id: int) -> bool:
    return actor_id == user_id


def may_change_post(actor_id: int, author_id: int) -> bool:
    return actor_id == author_id


def may_post(*, email_verified: bool, required: bool) -> bool:
    """Return whether a user may post. required: whether this server requires a verified e-mail address."""
    return email_verified or not required
