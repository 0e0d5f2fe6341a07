"""Who may do what. Every rule about permission is here."""


def may_change_account(actor_id: int, user_id: int) -> bool:
    return actor_id == user_id
