"""The compiled dump under the schemas."""
