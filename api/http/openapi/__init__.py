"""The OpenAPI document: its completion, its components and its digest."""
