"""Settings: read from the environment (and `.env`), checked once, all mistakes named together.

`docs/settings.md` describes each. Nothing else in the project reads the environment.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environs import Env, EnvValidationError, ValidationError, validate
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

ROOT = Path(__file__).parent
SAMPLE_SECRET_KEY = 'a-sample-key-for-development-only'
SECRET_KEY_LENGTH = 32
DRIVERS = {
    'sqlite': 'sqlite',
    'postgres': 'postgresql+psycopg',
    'postgresql': 'postgresql+psycopg',
    'postgresql+psycopg': 'postgresql+psycopg',
}


class ConfigError(Exception):
    """The environment does not describe a server that may start. One line for each mistake."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator may set."""

    environment: str = 'development'
    host: str = '127.0.0.1'
    port: int = 5000
    database_url: str = f'sqlite:///{ROOT}/data/microblog.sqlite'
    secret_key: str = SAMPLE_SECRET_KEY
    secret_key_fallbacks: tuple[str, ...] = ()
    debug: bool = False
    log_level: str = 'INFO'
    log_format: str = 'text'
    max_body_bytes: int = 64 * 1024
    password_min_length: int = 8
    trusted_hosts: tuple[str, ...] = ()
    trusted_proxies: int = 0
    web_workers: int = 1
    web_threads: int = 4

    @property
    def production(self) -> bool:
        return self.environment == 'production'


def read_settings() -> Settings:
    """The settings of this process.

    Raises ConfigError with a line for each variable that is missing or wrong.
    """
    env = Env(eager=False)
    env.read_env(str(ROOT / '.env'), recurse=False)
    environment = env.str('ENVIRONMENT', default_environment(), validate=validate.OneOf(['development', 'production']))
    production = environment != 'development'
    settings = Settings(
        environment=environment,
        host=env.str('HOST', Settings.host),
        port=env.int('PORT', Settings.port, validate=validate.Range(1, 65535)),
        database_url=database_url(env),
        secret_key=secret_key(env, production),
        secret_key_fallbacks=several(env, 'SECRET_KEY_FALLBACKS', strong_key if production else None),
        debug=env.bool('FLASK_DEBUG', False, validate=debug_allowed(production)),
        log_level=env.str('LOG_LEVEL', 'INFO', validate=validate.OneOf(['DEBUG', 'INFO', 'WARNING', 'ERROR'])),
        log_format=env.str('LOG_FORMAT', 'json' if production else 'text', validate=validate.OneOf(['json', 'text'])),
        max_body_bytes=env.int('MAX_BODY_BYTES', Settings.max_body_bytes, validate=validate.Range(1024)),
        password_min_length=env.int('PASSWORD_MIN_LENGTH', 8, validate=validate.Range(8, 64)),
        trusted_hosts=several(env, 'TRUSTED_HOSTS'),
        trusted_proxies=env.int('TRUSTED_PROXIES', 0, validate=validate.Range(0, 10)),
        web_workers=env.int('WEB_WORKERS', Settings.web_workers, validate=validate.Range(1, 256)),
        web_threads=env.int('WEB_THREADS', Settings.web_threads, validate=validate.Range(1, 256)),
    )
    try:
        env.seal()
    except EnvValidationError as error:
        raise ConfigError(describe(error.error_messages)) from None
    return settings


def default_environment() -> str:
    """The `flask` command is a developer's or an operator's; whatever else loads the application serves it."""
    return 'development' if os.environ.get('FLASK_RUN_FROM_CLI') == 'true' else 'production'


def several(env: Env, name: str, check: Callable[[str], None] | None = None) -> tuple[str, ...]:
    """Values with commas between them."""
    return tuple(
        env.list(name, [], validate=lambda values: [check(value) for value in values] if check else None) or ()
    )


def secret_key(env: Env, production: bool) -> str:
    if not production:
        return env.str('SECRET_KEY', SAMPLE_SECRET_KEY)
    return env.str('SECRET_KEY', validate=strong_key)


def strong_key(value: str) -> None:
    if value == SAMPLE_SECRET_KEY:
        raise ValidationError('is the sample key; make one: openssl rand -hex 32')
    if len(value) < SECRET_KEY_LENGTH:
        raise ValidationError(f'is shorter than {SECRET_KEY_LENGTH} characters; make one: openssl rand -hex 32')


def debug_allowed(production: bool) -> validate.OneOf | None:
    return validate.OneOf([False], error='must be off in production') if production else None


def database_url(env: Env) -> str:
    """The URL with the name of the driver we use, so that `postgres://...` of a hosting platform works."""

    def known(value: str) -> None:
        try:
            if make_url(value).drivername in DRIVERS:
                return
        except ArgumentError:
            pass
        raise ValidationError('is not a URL of the form sqlite:///file or postgresql://user@host/name')

    value = env.str('DATABASE_URL', Settings.database_url, validate=known)
    if not value:
        return Settings.database_url
    url = make_url(value)
    return url.set(drivername=DRIVERS[url.drivername]).render_as_string(hide_password=False)


def describe(messages: Any) -> str:
    """{'PORT': ['Not a valid integer.']} as lines: PORT: Not a valid integer."""
    return '\n'.join(f'{name}: {text}' for name, texts in messages.items() for text in texts)
