"""Fixtures and helpers for the tests."""
