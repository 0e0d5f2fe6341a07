"""The application itself, with the settings of the environment."""

from main import app

__all__ = ['app']
