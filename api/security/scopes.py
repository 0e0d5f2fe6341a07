"""What a token may do: one sentence each, for the document and for people who make tokens."""

SCOPES = {
    'users:read': 'Read users, and who follows whom.',
    'users:write': 'Change your own entry, except for the e-mail address.',
    'follows:write': 'Follow users, and follow them no more.',
    'posts:read': 'Read posts and timelines.',
    'posts:write': 'Write, change and delete your posts.',
    'likes:write': 'Like posts, and like them no more.',
    'tokens:manage': 'Make, list, change and revoke personal access tokens. None gets more than the maker has.',
    'account:export': 'Get a copy of everything that is yours.',
    'account:manage': 'Change your e-mail address and password, and delete your account.',
}

# For operations that every token may use: they are about the token itself.
ANY_SCOPE = 'any'


def join_scopes(scopes: list[str]) -> str:
    """As the database and `WWW-Authenticate` have them: with blanks between, in the order above."""
    return ' '.join(scope for scope in SCOPES if scope in scopes)
