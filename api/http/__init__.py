"""The web layer: HTTP for all routes, one mechanism per module."""
