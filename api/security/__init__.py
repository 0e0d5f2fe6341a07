"""Keyring, password hashing, token formats and scopes."""
