"""Ids in URLs."""

import pytest
from werkzeug.routing import Map

from api.http.url_converters import IdConverter


@pytest.mark.parametrize(
    ('text', 'id'),
    [('1', 1), ('0012', 12), ('9' * 18, 10**18 - 1), ('0' + '9' * 18, 10**18 - 1), ('0', 0), ('1' + '0' * 18, 0)],
)
def test_ids_have_up_to_18_digits(text: str, id: int) -> None:
    assert IdConverter(Map()).to_python(text) == id
