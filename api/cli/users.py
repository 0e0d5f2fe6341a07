"""`flask users`: administration of accounts."""

from typing import Any

import click
from flask.cli import AppGroup

from api.actions.account_deletion import delete_batch, disable_account, enable_account
from api.actions.jobs import DELETE_ACCOUNT, enqueue
from api.actions.passwords import invalidate_password
from api.actions.tokens import revoke_user_tokens
from api.db.session import db
from api.queries.tokens import list_tokens
from api.queries.users import get_user_by_username, normalize_username

users_commands = AppGroup('users', help='Administer user accounts.')


def find_user(context: click.Context, parameter: click.Parameter, username: str) -> Any:
    user = get_user_by_username(normalize_username(username)).first()
    if user is None:
        raise click.BadParameter('no user has this name')
    return user


user_argument = click.argument('user', metavar='USERNAME', callback=find_user)


@users_commands.command()
@user_argument
def disable(user: Any) -> None:
    """Revoke all tokens of a user and block their login. Their posts stay."""
    disable_account(user.id)
    db.session.commit()
    click.echo(f'{user.username} is disabled and their tokens are revoked')


@users_commands.command()
@user_argument
def enable(user: Any) -> None:
    """Allow a disabled user to log in again."""
    if not enable_account(user.id):
        raise click.ClickException(f'{user.username} is being deleted')
    db.session.commit()
    click.echo(f'{user.username} can log in again')


@users_commands.command()
@user_argument
@click.confirmation_option(prompt='This cannot be undone. Delete the account and all its data?')
def delete(user: Any) -> None:
    """Delete a user and all their data."""
    disable_account(user.id)
    # If this command is interrupted, the worker finishes the deletion.
    enqueue(DELETE_ACCOUNT, user_id=user.id)
    db.session.commit()
    while not delete_batch(user.id):
        db.session.commit()
    db.session.commit()
    click.echo(f'{user.username} is deleted')


@users_commands.command('reset-password')
@user_argument
def reset_password(user: Any) -> None:
    """Invalidate the password and all tokens of a user, and mail them a link to set a new password."""
    invalidate_password(user=user)
    db.session.commit()
    click.echo(f'the password and tokens of {user.username} are invalid now; a reset link will be mailed to them')


@users_commands.command()
@user_argument
@click.option('--revoke', is_flag=True, help='Revoke all of them.')
def tokens(user: Any, revoke: bool) -> None:
    """List the tokens of a user, or revoke them all."""
    if revoke:
        revoke_user_tokens(user.id)
        db.session.commit()
    for token in list_tokens(user.id).all():
        scopes = 'all scopes' if token.scopes is None else token.scopes
        click.echo(f'{token.id}  {token.name or "session"}  until {token.expires_at:%Y-%m-%d %H:%M}  {scopes}')
