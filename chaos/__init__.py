"""Faults, done to real servers under real load, and what each must not do to clients: `make chaos`."""
