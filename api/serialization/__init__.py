"""Serialization of rows by functions compiled from schemas."""
