"""The views: decorators declare URL, credentials and schemas; the body calls a query or an action."""
