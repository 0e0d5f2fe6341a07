"""URLs, credentials and shapes: a view is its decorators and a line or three."""
