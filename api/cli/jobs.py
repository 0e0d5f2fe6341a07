"""`flask jobs`: show pending and failed jobs."""

import click
from flask.cli import with_appcontext

from api.actions.jobs import retry_failed_jobs
from api.db.session import db
from api.queries.jobs import count_pending_jobs, list_failed_jobs


@click.command('jobs')
@click.option('--retry', is_flag=True, help='Retry the failed jobs.')
@with_appcontext
def jobs_command(retry: bool) -> None:
    """Show the number of pending jobs, and list the failed ones."""
    if retry:
        click.echo(f'{retry_failed_jobs()} failed jobs will be retried')
        db.session.commit()
    click.echo(f'{count_pending_jobs().scalar()} jobs pending')
    for job in list_failed_jobs().all():
        click.echo(f'{job.id}  {job.type}  {job.recipient}  {job.created_at:%Y-%m-%d %H:%M}  {job.error}')
