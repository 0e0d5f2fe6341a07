"""Fault injection into real servers under load, with the expected effect on clients: `make chaos`."""
