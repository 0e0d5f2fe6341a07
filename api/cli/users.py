"""`flask users`: what an administrator does to accounts."""

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

users_commands = AppGroup('users', help='What an administrator does to accounts.')


def find_user(context: click.Context, parameter: click.Parameter, username: str) -> Any:
    user = get_user_by_username(normalize_username(username)).first()
    if user is None:
        raise click.BadParameter('there is no user of this name')
    return user


user_argument = click.argument('user', metavar='USERNAME', callback=find_user)


@users_commands.command()
@user_argument
def disable(user: Any) -> None:
    """End all tokens of a user, and let them in no more. What they wrote stays."""
    disable_account(user.id)
    db.session.commit()
    click.echo(f'{user.username} is disabled, and their tokens have ended')


@users_commands.command()
@user_argument
def enable(user: Any) -> None:
    """Let a disabled user in again."""
    if not enable_account(user.id):
        raise click.ClickException(f'{user.username} is being deleted')
    db.session.commit()
    click.echo(f'{user.username} may log in')


@users_commands.command()
@user_argument
@click.confirmation_option(prompt='There is no way back. Delete the account and everything in it?')
def delete(user: Any) -> None:
    """Delete a user and everything of theirs."""
    disable_account(user.id)
    # Should this be broken off, the worker goes on.
    enqueue(DELETE_ACCOUNT, user_id=user.id)
    db.session.commit()
    while not delete_batch(user.id):
        db.session.commit()
    db.session.commit()
    click.echo(f'{user.username} is deleted')


@users_commands.command('reset-password')
@user_argument
def reset_password(user: Any) -> None:
    """End all tokens and the password of a user, and mail them a link to choose another."""
    invalidate_password(user=user)
    db.session.commit()
    click.echo(f'a link is on its way to {user.username}, whose password and tokens have ended')


@users_commands.command()
@user_argument
@click.option('--revoke', is_flag=True, help='End all of them.')
def tokens(user: Any, revoke: bool) -> None:
    """List the tokens of a user, or end them all."""
    if revoke:
        revoke_user_tokens(user.id)
        db.session.commit()
    for token in list_tokens(user.id).all():
        scopes = 'everything' if token.scopes is None else token.scopes
        click.echo(f'{token.id}  {token.name or "by password"}  until {token.expires_at:%Y-%m-%d %H:%M}  {scopes}')
