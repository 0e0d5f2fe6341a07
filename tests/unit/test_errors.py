"""Messages of validation errors."""

from api.http.errors import flatten_messages


def test_nested_messages_are_flattened():
    assert flatten_messages({0: ['Not a number.'], 2: {'id': ['Too small.', 'Too odd.']}}) == [
        'Not a number.',
        'Too small.',
        'Too odd.',
    ]
