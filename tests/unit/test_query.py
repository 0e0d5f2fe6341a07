from sqlalchemy import select

from api.models import User
from api.queries.query import MOST_DERIVED, Prepared


def test_what_clients_choose_does_not_fill_the_memory() -> None:
    prepared = Prepared(select(User.id, User.username))
    first = prepared.only(('id',))
    assert prepared.only(('id',)) is first
    for number in range(MOST_DERIVED):
        prepared.derive(number, lambda select: select)
    assert len(prepared._derived) <= MOST_DERIVED
    assert prepared.only(('id',)) is not first
