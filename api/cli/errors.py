"""Errors of commands, reported without a traceback."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import click
import psycopg
from sqlalchemy.exc import SQLAlchemyError


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn errors of the database and the operating system into a ClickException with their message."""
    try:
        yield
    except (SQLAlchemyError, psycopg.Error, sqlite3.Error, OSError) as error:
        raise click.ClickException(one_line(getattr(error, 'orig', None) or error)) from error


def one_line(error: object) -> str:
    """Return the text of an error with line breaks and repeated spaces collapsed."""
    return ' '.join(str(error).split())
