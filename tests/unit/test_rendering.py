from api.edge.rendering import texts_of


def test_nested_messages_become_a_list_of_texts():
    assert texts_of({0: ['Not a number.'], 2: {'id': ['Too small.', 'Too odd.']}}) == [
        'Not a number.',
        'Too small.',
        'Too odd.',
    ]
