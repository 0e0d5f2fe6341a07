"""What operators and developers do with the `flask` command."""

from flask import Flask

from api.cli.backup import backup_command, restore_command
from api.cli.contract import contract_commands
from api.cli.copy import copy_command
from api.cli.data import recount_command
from api.cli.document import document_command
from api.cli.migrations import db_commands
from api.cli.outbox import outbox_command
from api.cli.seed import seed_command
from api.cli.users import users_commands


def add_commands(app: Flask) -> None:
    for command in (
        backup_command,
        contract_commands,
        copy_command,
        db_commands,
        document_command,
        outbox_command,
        recount_command,
        restore_command,
        seed_command,
        users_commands,
    ):
        app.cli.add_command(command)
