"""Helpers that tests, benchmarks and chaos share: databases, servers and processes."""
