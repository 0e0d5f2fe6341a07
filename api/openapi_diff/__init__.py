"""Compare two OpenAPI documents and find the changes that break clients."""
