"""A small library over SQLAlchemy: engine, types, read connections, prepared selects and the replica."""
