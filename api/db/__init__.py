"""Database access with SQLAlchemy: engine, types, read connections, prepared selects and the read replica."""
