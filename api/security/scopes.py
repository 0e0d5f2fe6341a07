"""The scopes of tokens, each with a sentence for the OpenAPI document."""

SCOPES = {
    'users:read': 'Read users, followers and relationships.',
    'users:write': 'Update your account, except for the e-mail address.',
    'follows:write': 'Follow and unfollow users.',
    'posts:read': 'Read posts and timelines.',
    'posts:write': 'Create, update and delete your posts.',
    'likes:write': 'Like and unlike posts.',
    'tokens:manage': 'Create, list, update and revoke personal access tokens, with no more scopes than your own token.',
    'account:export': 'Export your account data.',
    'account:manage': 'Change your e-mail address and password, and delete your account.',
}

# The role of operations on the current token itself, which need no scope.
ANY_SCOPE = 'any'


def join_scopes(scopes: list[str]) -> str:
    """Return the scopes in the order above, separated by spaces, as in the database and `WWW-Authenticate`."""
    return ' '.join(scope for scope in SCOPES if scope in scopes)
