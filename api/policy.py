"""Who may do what. Every rule about permission is here."""


def may_change_account(actor_id: int, user_id: int) -> bool:
    return actor_id == user_id


def may_change_post(actor_id: int, author_id: int) -> bool:
    return actor_id == author_id


def may_post(*, email_verified: bool, required: bool) -> bool:
    """demanded: whether this server wants addresses verified first."""
    return email_verified or not required
