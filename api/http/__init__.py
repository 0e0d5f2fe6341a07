"""The web layer: how every route speaks HTTP, one mechanism per module."""
