"""What operators and developers do with the `flask` command."""

from flask import Flask

from api.cli.data import recount_command
from api.cli.document import document_command
from api.cli.migrations import db_commands
from api.cli.seed import seed_command


def add_commands(app: Flask) -> None:
    for command in (db_commands, document_command, recount_command, seed_command):
        app.cli.add_command(command)
