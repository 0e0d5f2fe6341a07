"""Settings, read from the environment (and `.env`) and validated once. All errors are reported together.

`docs/settings.md` describes each setting. No other module reads settings from the environment.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from environs import Env, EnvValidationError, ValidationError, validate
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

ROOT = Path(__file__).parent
SAMPLE_SECRET_KEY = 'a-sample-key-for-development-only'
MIN_SECRET_KEY_LENGTH = 32
DRIVERS = {
    'sqlite': 'sqlite',
    'postgres': 'postgresql+psycopg',
    'postgresql': 'postgresql+psycopg',
    'postgresql+psycopg': 'postgresql+psycopg',
}


class ConfigError(Exception):
    """Invalid settings, with one line for each error."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that an operator can change."""

    environment: str = 'development'
    host: str = '127.0.0.1'
    port: int = 5000
    database_url: str = f'sqlite:///{ROOT}/data/microblog.sqlite'
    database_replica_url: str = ''
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
    public_url: str = 'http://127.0.0.1:5000'
    cors_origins: tuple[str, ...] = ()
    security_contact: str = ''
    mail_server: str = ''
    mail_port: int = 587
    mail_security: str = 'starttls'
    mail_username: str = ''
    mail_password: str = ''
    mail_from: str = 'microblog@127.0.0.1'
    require_verified_email: bool = False
    ratelimit_enabled: bool = False
    ratelimit_storage_uri: str = 'memory://'

    @property
    def production(self) -> bool:
        return self.environment == 'production'


def read_settings() -> Settings:
    """Return the settings of this process.

    Raise ConfigError with a line for each missing or invalid variable.
    """
    env = Env(eager=False)
    env.read_env(str(ROOT / '.env'), recurse=False)
    environment = env.str('ENVIRONMENT', default_environment(), validate=validate.OneOf(['development', 'production']))
    production = environment != 'development'
    host = env.str('HOST', Settings.host)
    port = env.int('PORT', Settings.port, validate=validate.Range(1, 65535))
    url = read_public_url(env, production, f'http://{host}:{port}')
    rate_limited = env.bool('RATELIMIT_ENABLED', production)
    workers = env.int('WEB_WORKERS', Settings.web_workers, validate=validate.Range(1, 256))
    settings = Settings(
        environment=environment,
        host=host,
        port=port,
        database_url=read_database_url(env),
        database_replica_url=read_replica_url(env),
        secret_key=read_secret_key(env, production),
        secret_key_fallbacks=parse_list(env, 'SECRET_KEY_FALLBACKS', validate_secret_key if production else None),
        debug=env.bool('FLASK_DEBUG', False, validate=debug_validator(production)),
        log_level=env.str('LOG_LEVEL', 'INFO', validate=validate.OneOf(['DEBUG', 'INFO', 'WARNING', 'ERROR'])),
        log_format=env.str('LOG_FORMAT', 'json' if production else 'text', validate=validate.OneOf(['json', 'text'])),
        max_body_bytes=env.int('MAX_BODY_BYTES', Settings.max_body_bytes, validate=validate.Range(1024)),
        password_min_length=env.int('PASSWORD_MIN_LENGTH', 8, validate=validate.Range(8, 64)),
        trusted_hosts=parse_list(env, 'TRUSTED_HOSTS'),
        trusted_proxies=env.int('TRUSTED_PROXIES', 0, validate=validate.Range(0, 10)),
        web_workers=workers,
        web_threads=env.int('WEB_THREADS', Settings.web_threads, validate=validate.Range(1, 256)),
        public_url=url,
        cors_origins=parse_list(env, 'CORS_ORIGINS', validate_origin),
        security_contact=env.str('SECURITY_CONTACT', '', validate=validate_contact),
        mail_server=read_mail_server(env, production),
        mail_port=env.int('MAIL_PORT', Settings.mail_port, validate=validate.Range(1, 65535)),
        mail_security=env.str('MAIL_SECURITY', 'starttls', validate=validate.OneOf(['starttls', 'tls', 'none'])),
        mail_username=env.str('MAIL_USERNAME', '', validate=validate_ascii),
        mail_password=env.str('MAIL_PASSWORD', '', validate=validate_ascii),
        mail_from=env.str('MAIL_FROM', f'microblog@{hostname_of(url)}', validate=validate_email_address),
        require_verified_email=env.bool('REQUIRE_VERIFIED_EMAIL', False),
        ratelimit_enabled=rate_limited,
        ratelimit_storage_uri=env.str(
            'RATELIMIT_STORAGE_URI', Settings.ratelimit_storage_uri, validate=validate_storage_uri
        ),
    )
    errors: dict[str, Any] = {}
    try:
        env.seal()
    except EnvValidationError as error:
        errors |= cast(dict[str, Any], error.error_messages)
    if production and rate_limited and (workers or 1) > 1 and settings.ratelimit_storage_uri == 'memory://':
        errors['RATELIMIT_STORAGE_URI'] = [f'must be a Redis URL: each of {workers} processes counts alone in memory']
    if settings.database_replica_url and settings.database_url.startswith('sqlite'):
        errors['DATABASE_REPLICA_URL'] = ['must be empty unless DATABASE_URL is a PostgreSQL URL']
    if errors:
        raise ConfigError(format_errors(errors))
    return settings


def default_environment() -> str:
    """Return 'development' under the `flask` command, else 'production'.

    Other programs load the application to serve it, so they need the strict checks.
    """
    return 'development' if os.environ.get('FLASK_RUN_FROM_CLI') == 'true' else 'production'


def parse_list(env: Env, name: str, validator: Callable[[str], None] | None = None) -> tuple[str, ...]:
    """Return the comma-separated values of a variable, each of them validated."""
    return tuple(
        env.list(name, [], validate=lambda values: [validator(value) for value in values] if validator else None) or ()
    )


def read_secret_key(env: Env, production: bool) -> str:
    if not production:
        return env.str('SECRET_KEY', SAMPLE_SECRET_KEY)
    return env.str('SECRET_KEY', validate=validate_secret_key)


def validate_secret_key(value: str) -> None:
    if value == SAMPLE_SECRET_KEY:
        raise ValidationError('must not be the sample key; generate one with: openssl rand -hex 32')
    if len(value) < MIN_SECRET_KEY_LENGTH:
        raise ValidationError(f'must have {MIN_SECRET_KEY_LENGTH} characters or more, as from: openssl rand -hex 32')


def read_public_url(env: Env, production: bool, default_url: str) -> str:
    """Return the public base URL of the server, which links in mails start with."""

    if production:
        return env.str('PUBLIC_URL', validate=validate_origin)
    return env.str('PUBLIC_URL', default_url, validate=validate_origin)


def validate_origin(value: str) -> None:
    try:
        parts = urlsplit(value)
        if parts.port != 0 and re.fullmatch(r'https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?', value):
            return
    except ValueError:  # a port out of range, or brackets without an IPv6 address
        pass
    raise ValidationError('must have the form https://api.example.com')


def validate_contact(value: str) -> None:
    if value and not re.fullmatch(r'mailto:[^@\s]+@[^@\s]+|https://[!-~]+|tel:[0-9+.-]+', value):
        raise ValidationError('must have the form mailto:security@example.com or https://example.com/security')


def read_mail_server(env: Env, production: bool) -> str:
    if production:
        return env.str('MAIL_SERVER', validate=validate.Length(1))
    return env.str('MAIL_SERVER', '')


def validate_ascii(value: str) -> None:
    if not value.isascii():
        raise ValidationError('must contain only ASCII characters')


def hostname_of(url: str | None) -> str | None:
    """Return the host of a URL, or None if the URL is invalid, which its own validator reports."""
    try:
        return urlsplit(url or '').hostname
    except ValueError:
        return None


def validate_email_address(value: str) -> None:
    if not re.fullmatch(r'[^@\s<>,;]+@[^@\s<>,;]+', value):
        raise ValidationError('must be an e-mail address')


def validate_storage_uri(value: str) -> None:
    if value != 'memory://' and not is_redis_url(value):
        raise ValidationError('must be memory:// or have the form redis://host:port/number')


def is_redis_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ('redis', 'rediss') and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number or out of range
        return False


def debug_validator(production: bool) -> validate.OneOf | None:
    return validate.OneOf([False], error='must be off in production') if production else None


def read_database_url(env: Env) -> str:
    value = env.str('DATABASE_URL', Settings.database_url, validate=normalize_database_url)
    return normalize_database_url(value or Settings.database_url)


def read_replica_url(env: Env) -> str:
    value = env.str('DATABASE_REPLICA_URL', '', validate=validate_postgresql_url)
    return normalize_database_url(value) if value else ''


def validate_postgresql_url(value: str) -> None:
    if value and not normalize_database_url(value).startswith('postgresql'):
        raise ValidationError('must be a URL of the form postgresql://user@host/name')


def normalize_database_url(value: str) -> str:
    """Return the URL with the name of our driver, so that the `postgres://...` of hosting platforms works.

    Raise ValidationError for other databases and malformed URLs.
    """
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):  # ValueError: the port is not a number
        url = None
    if url is None or url.drivername not in DRIVERS or (url.drivername == 'sqlite' and not url.database):
        raise ValidationError('must be a URL of the form sqlite:///file or postgresql://user@host/name')
    if url.database and url.drivername == 'sqlite':
        # Flask-SQLAlchemy and `flask db` resolve relative paths differently.
        url = url.set(database=os.path.abspath(url.database))
    return url.set(drivername=DRIVERS[url.drivername]).render_as_string(hide_password=False)


def format_errors(messages: Any) -> str:
    """Return {'PORT': ['Not a valid integer.']} as lines such as `PORT: Not a valid integer.`"""
    return '\n'.join(f'{name}: {text}' for name, texts in messages.items() for text in texts)
