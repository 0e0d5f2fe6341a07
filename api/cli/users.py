"""`flask users`: what an administrator does to accounts."""

from typing import Any

import click
from flask.cli import AppGroup

from api.actions.leaving import close_account, erase_some, open_account
from api.actions.outbox import ERASE_ACCOUNT, post_message
from api.actions.passwords import void_password
from api.actions.tokens import revoke_tokens_of
from api.extensions import db
from api.queries.tokens import tokens_of
from api.queries.users import folded, get_user_by_name

users_commands = AppGroup('users', help='What an administrator does to accounts.')


def named(context: click.Context, parameter: click.Parameter, username: str) -> Any:
    user = get_user_by_name(folded(username)).first()
    if user is None:
        raise click.BadParameter('there is no user of this name')
    return user


someone = click.argument('user', metavar='USERNAME', callback=named)


@users_commands.command()
@someone
def disable(user: Any) -> None:
    """End all tokens of a user, and let them in no more. What they wrote stays."""
    close_account(user.id)
    db.session.commit()
    click.echo(f'{user.username} is disabled, and their tokens have ended')


@users_commands.command()
@someone
def enable(user: Any) -> None:
    """Let a disabled user in again."""
    if not open_account(user.id):
        raise click.ClickException(f'{user.username} is being deleted')
    db.session.commit()
    click.echo(f'{user.username} may log in')


@users_commands.command()
@someone
@click.confirmation_option(prompt='There is no way back. Delete the account and everything in it?')
def delete(user: Any) -> None:
    """Delete a user and everything of theirs."""
    close_account(user.id)
    # Should this be broken off, the worker goes on.
    post_message(ERASE_ACCOUNT, user_id=user.id)
    db.session.commit()
    while not erase_some(user.id):
        db.session.commit()
    db.session.commit()
    click.echo(f'{user.username} is deleted')


@users_commands.command('reset-password')
@someone
def reset_password(user: Any) -> None:
    """End all tokens and the password of a user, and mail them a link to choose another."""
    void_password(user=user)
    db.session.commit()
    click.echo(f'a link is on its way to {user.username}, whose password and tokens have ended')


@users_commands.command()
@someone
@click.option('--revoke', is_flag=True, help='End all of them.')
def tokens(user: Any, revoke: bool) -> None:
    """List the tokens of a user, or end them all."""
    if revoke:
        revoke_tokens_of(user.id)
        db.session.commit()
    for token in tokens_of(user.id).all():
        scopes = 'everything' if token.scopes is None else token.scopes
        click.echo(f'{token.id}  {token.name or "by password"}  until {token.expires_at:%Y-%m-%d %H:%M}  {scopes}')
