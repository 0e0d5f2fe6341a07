"""`flask jobs`: what the worker has still to do, and what it has given up."""

import click
from flask.cli import with_appcontext

from api.actions.jobs import retry_failed_jobs
from api.db.session import db
from api.queries.jobs import count_pending_jobs, list_failed_jobs


@click.command('jobs')
@click.option('--retry', is_flag=True, help='Try what was given up once more.')
@with_appcontext
def jobs_command(retry: bool) -> None:
    """Show what the worker has still to do, and what it has given up."""
    if retry:
        click.echo(f'{retry_failed_jobs()} are due again')
        db.session.commit()
    click.echo(f'{count_pending_jobs().scalar()} waiting')
    for job in list_failed_jobs().all():
        click.echo(f'{job.id}  {job.type}  {job.recipient}  {job.created_at:%Y-%m-%d %H:%M}  {job.error}')
