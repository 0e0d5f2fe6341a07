"""Every shape that goes in or out: read from top to bottom, this package is the API."""
