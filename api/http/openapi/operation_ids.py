"""The operation ids and tags of the OpenAPI document, by endpoint."""

OPERATION_IDS = {
    'changelog.index': 'getChangelog',
    'health.alive': 'checkLiveness',
    'health.ready': 'checkReadiness',
    'users.create': 'createUser',
    'users.index': 'listUsers',
    'users.show': 'getUser',
    'users.update': 'updateUser',
    'users.patch': 'patchUser',
    'users.delete': 'deleteUser',
    'users.followers': 'listFollowers',
    'users.following': 'listFollowing',
    'users.posts': 'listUserPosts',
    'users.likes': 'listUserLikes',
    'me.show': 'getCurrentUser',
    'me.feed': 'getFeed',
    'me.relationships': 'getRelationships',
    'me.show_following': 'checkFollowing',
    'me.follow': 'followUser',
    'me.unfollow': 'unfollowUser',
    'posts.index': 'listPosts',
    'posts.create': 'createPost',
    'posts.show': 'getPost',
    'posts.update': 'updatePost',
    'posts.patch': 'patchPost',
    'posts.delete': 'deletePost',
    'posts.history': 'listPostVersions',
    'posts.replies': 'listReplies',
    'posts.thread': 'getThread',
    'posts.likes': 'listPostLikers',
    'posts.show_like': 'checkLike',
    'posts.like': 'likePost',
    'posts.unlike': 'unlikePost',
    'tokens.create': 'createToken',
    'tokens.show': 'getCurrentToken',
    'tokens.delete': 'revokeCurrentToken',
    'personal_access_tokens.index': 'listPersonalAccessTokens',
    'personal_access_tokens.create': 'createPersonalAccessToken',
    'personal_access_tokens.delete_all': 'revokeAllPersonalAccessTokens',
    'personal_access_tokens.show': 'getPersonalAccessToken',
    'personal_access_tokens.patch': 'updatePersonalAccessToken',
    'personal_access_tokens.delete': 'revokePersonalAccessToken',
    'account.update_password': 'changePassword',
    'account.create_password_reset': 'requestPasswordReset',
    'account.confirm_password_reset': 'resetPassword',
    'account.create_email_verification': 'requestEmailVerification',
    'account.confirm_email_verification': 'verifyEmail',
    'account.export': 'exportAccount',
}


def operation_id(endpoint: str) -> str:
    """Return the operation id of an endpoint; for one that the table lacks, `posts.index` gives `indexPosts`."""
    blueprint, _, view = endpoint.partition('.')
    return OPERATION_IDS.get(endpoint, f'{view}{blueprint.title()}'.replace('_', ''))


def tag_name(blueprint: str) -> str:
    """Return the tag of a blueprint: `Personal_Access_Tokens` gives `Personal access tokens`."""
    return blueprint.replace('_', ' ').capitalize()
