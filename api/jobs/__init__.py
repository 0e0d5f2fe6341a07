"""Background jobs: handlers and mail."""
