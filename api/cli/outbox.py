"""`flask outbox`: what the worker has still to do, and what it has given up."""

import click
from flask.cli import with_appcontext

from api.actions.outbox import retry_messages
from api.extensions import db
from api.queries.outbox import count_waiting, given_up


@click.command('outbox')
@click.option('--retry', is_flag=True, help='Try what was given up once more.')
@with_appcontext
def outbox_command(retry: bool) -> None:
    """Show what the worker has still to do, and what it has given up."""
    if retry:
        click.echo(f'{retry_messages()} are due again')
        db.session.commit()
    click.echo(f'{count_waiting().scalar()} waiting')
    for letter in given_up().all():
        click.echo(
            f'{letter.id}  {letter.topic}  {letter.recipient}  {letter.created_at:%Y-%m-%d %H:%M}  {letter.error}'
        )
