"""How every route speaks HTTP: one mechanism a file."""
