"""The contract with clients: what changed in it, and whether that breaks them."""
