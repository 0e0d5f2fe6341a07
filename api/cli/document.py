"""`flask document`: the OpenAPI document, as docs/openapi.json keeps it."""

import json

import click
from flask import current_app
from flask.cli import with_appcontext


@click.command('document')
@with_appcontext
def document_command() -> None:
    """Print the OpenAPI document."""
    answer = current_app.test_client().get('/apispec.json')
    click.echo(json.dumps(json.loads(answer.data), indent=2))
