"""Rate limits and the store that counts requests."""
