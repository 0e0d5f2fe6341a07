"""The `flask` commands for operators and developers."""

from flask import Flask

from api.cli.backup import backup_command, restore_command
from api.cli.copy import copy_command
from api.cli.counters import counters_commands
from api.cli.jobs import jobs_command
from api.cli.migrations import db_commands
from api.cli.openapi import openapi_commands
from api.cli.seed import seed_command
from api.cli.users import users_commands


def add_commands(app: Flask) -> None:
    for command in (
        backup_command,
        copy_command,
        counters_commands,
        db_commands,
        jobs_command,
        openapi_commands,
        restore_command,
        seed_command,
        users_commands,
    ):
        app.cli.add_command(command)
