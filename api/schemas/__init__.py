"""The schemas of all requests and responses."""
