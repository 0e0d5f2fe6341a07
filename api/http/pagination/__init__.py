"""Pages of collections and timelines, and their cursors."""
