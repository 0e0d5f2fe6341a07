"""`flask openapi`: export the OpenAPI document, compare it with the last release, and release it."""

import json

import click
from flask import current_app
from flask.cli import AppGroup

from api.clock import utcnow
from api.openapi_diff.releases import check_breaks, release

openapi_commands = AppGroup('openapi', help='The OpenAPI document and its releases.')


@openapi_commands.command('export')
def export_command() -> None:
    """Print the OpenAPI document."""
    response = current_app.test_client().get('/apispec.json')
    click.echo(json.dumps(json.loads(response.data), indent=2))


@openapi_commands.command('diff', with_appcontext=False)
def diff_command() -> None:
    """Show the changes since the last release; fail if a break is undeclared or a declaration is outdated."""
    result = check_breaks()
    for change in result.changes:
        click.echo(f'{change_label(change.breaking, change.line in result.undeclared)}  {change.line}')
    for line in result.outdated:
        click.echo(f'outdated    {line}')
    if result.undeclared or result.outdated:
        raise click.ClickException('declare breaking changes in docs/contract/breaks.txt, below a line with the reason')


def change_label(breaking: bool, undeclared: bool) -> str:
    """Return the label of a change, padded to one width."""
    return 'UNDECLARED' if undeclared else 'breaking  ' if breaking else 'compatible'


@openapi_commands.command('release', with_appcontext=False)
def release_command() -> None:
    """Store docs/openapi.json as today's release and clear the declared breaks."""
    release(utcnow().date())
