"""Failures of commands, for people."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import click
import psycopg
from sqlalchemy.exc import SQLAlchemyError


@contextmanager
def report_errors() -> Iterator[None]:
    """Ends the command with what the database or the system says, without a traceback."""
    try:
        yield
    except (SQLAlchemyError, psycopg.Error, sqlite3.Error, OSError) as error:
        raise click.ClickException(one_line(getattr(error, 'orig', None) or error)) from error


def one_line(error: object) -> str:
    return ' '.join(str(error).split())
