"""`flask contract`: what changed since the last release, and whether that breaks clients."""

import click

from api.clock import utcnow
from api.contract.releases import check, release


@click.group('contract', invoke_without_command=True)
@click.pass_context
def contract_commands(context: click.Context) -> None:
    """Show what changed since the last release; fail where a break is not declared, or is none any more."""
    if context.invoked_subcommand:
        return
    found = check()
    for change in found.changes:
        click.echo(f'{kind_of(change.breaking, change.line in found.undeclared)}  {change.line}')
    for line in found.outdated:
        click.echo(f'outdated    {line}')
    if found.undeclared or found.outdated:
        raise click.ClickException('docs/contract/breaks.txt has to say what breaks, below a line with the reason')


def kind_of(breaking: bool, undeclared: bool) -> str:
    """In columns."""
    return 'UNDECLARED' if undeclared else 'breaking  ' if breaking else 'compatible'


@contract_commands.command('release')
def release_command() -> None:
    """Keep docs/openapi.json as released today, and forget the breaks that were declared for it."""
    release(utcnow().date())
