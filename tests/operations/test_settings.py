"""Settings from the environment: defaults, errors and documentation."""

import itertools
import os
import re
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import config
from api.server.web import granian_command
from config import SAMPLE_SECRET_KEY, ConfigError, Settings, read_settings

KEY = 'k' * 32
PRODUCTION = {'SECRET_KEY': KEY, 'PUBLIC_URL': 'https://api.example.com', 'MAIL_SERVER': 'mail.example.com'}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ('FLASK_DEBUG', 'FLASK_RUN_FROM_CLI', *Settings.__dataclass_fields__):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(config, 'ROOT', tmp_path)


def setenv(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_development_needs_no_settings(monkeypatch):
    setenv(monkeypatch, ENVIRONMENT='development')
    assert read_settings() == Settings()


def test_flask_command_defaults_to_development(monkeypatch):
    setenv(monkeypatch, FLASK_RUN_FROM_CLI='true')
    assert read_settings().environment == 'development'


def test_other_loaders_default_to_production(monkeypatch):
    setenv(monkeypatch, **PRODUCTION)
    settings = read_settings()
    assert settings.production
    assert settings.log_format == 'json'
    assert settings.ratelimit_enabled
    assert settings.mail_from == 'microblog@api.example.com'


def test_every_error_is_reported_at_once(monkeypatch):
    setenv(monkeypatch, ENVIRONMENT='prod', PORT='http', DATABASE_URL='mysql://x', TRUSTED_PROXIES='-1')
    with pytest.raises(ConfigError) as error:
        read_settings()
    named = {line.split(':')[0] for line in str(error.value).splitlines()}
    missing = set(PRODUCTION)
    assert named == {'ENVIRONMENT', 'PORT', 'DATABASE_URL', 'TRUSTED_PROXIES'} | missing


@pytest.mark.parametrize(
    ('url', 'driver'),
    [
        ('sqlite:///a.sqlite', f'sqlite:///{Path.cwd()}/a.sqlite'),
        ('sqlite:////var/a.sqlite', 'sqlite:////var/a.sqlite'),
        ('postgres://u:p@h/d', 'postgresql+psycopg://u:p@h/d'),
        ('postgresql://u:p@h:5/d', 'postgresql+psycopg://u:p@h:5/d'),
    ],
)
def test_driver_is_normalized(monkeypatch, url, driver):
    setenv(monkeypatch, ENVIRONMENT='development', DATABASE_URL=url)
    assert read_settings().database_url == driver


@pytest.mark.parametrize(
    'url', ['', 'nonsense', 'mysql://host/name', 'sqlite', 'sqlite://', '://', 'postgresql://h:p/d']
)
def test_unknown_database_is_rejected(monkeypatch, url):
    setenv(monkeypatch, ENVIRONMENT='development', DATABASE_URL=url)
    with pytest.raises(ConfigError, match='DATABASE_URL'):
        read_settings()


def test_replica_must_be_postgresql(monkeypatch):
    primary, replica = 'postgresql://u@h/d', 'postgres://u@r/d'
    setenv(monkeypatch, ENVIRONMENT='development', DATABASE_URL=primary, DATABASE_REPLICA_URL=replica)
    assert read_settings().database_replica_url == 'postgresql+psycopg://u@r/d'
    for url in ('sqlite:///b.sqlite', 'nonsense'):
        (line,) = error_lines(monkeypatch, DATABASE_REPLICA_URL=url)
        assert line.startswith('DATABASE_REPLICA_URL: must be a URL of the form ')
    (line,) = error_lines(monkeypatch, DATABASE_URL='sqlite:///a.sqlite', DATABASE_REPLICA_URL=replica)
    assert line == 'DATABASE_REPLICA_URL: must be empty unless DATABASE_URL is a PostgreSQL URL'


def test_environment_overrides_the_env_file(monkeypatch, tmp_path):
    (tmp_path / '.env').write_text('ENVIRONMENT=development\nPORT=8000\nHOST=0.0.0.0\n')
    setenv(monkeypatch, PORT='9000')
    settings = read_settings()
    assert (settings.host, settings.port) == ('0.0.0.0', 9000)


@pytest.mark.process
@pytest.mark.parametrize(
    ('values', 'line'),
    [
        ({'SECRET_KEY': None}, r'SECRET_KEY: .*not set\.'),
        ({'SECRET_KEY': ''}, 'SECRET_KEY: must have 32 characters or more.*'),
        ({'SECRET_KEY': 'short'}, 'SECRET_KEY: must have 32 characters or more.*'),
        ({'SECRET_KEY': SAMPLE_SECRET_KEY}, 'SECRET_KEY: must not be the sample key.*'),
        ({'SECRET_KEY_FALLBACKS': 'short'}, 'SECRET_KEY_FALLBACKS: .*must have 32 characters or more.*'),
        ({'FLASK_DEBUG': '1'}, 'FLASK_DEBUG: must be off in production'),
        ({'PUBLIC_URL': None}, r'PUBLIC_URL: .*not set\.'),
        ({'PUBLIC_URL': 'api.example.com'}, 'PUBLIC_URL: must have the form https://api.example.com'),
        ({'MAIL_SERVER': None}, r'MAIL_SERVER: .*not set\.'),
        (
            {'WEB_WORKERS': '2', 'RATELIMIT_STORAGE_URI': 'memory://'},
            'RATELIMIT_STORAGE_URI: must be a Redis URL: each of 2 processes .*',
        ),
    ],
)
def test_production_refuses_unsafe_settings(values, line):
    """A real process ends within two seconds of CPU time and prints one line."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = run_failing(['-m', 'api.server.web'], PRODUCTION | values)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
    assert re.fullmatch(line + '\n', result.stderr)


@pytest.mark.process
def test_wsgi_server_refuses_unsafe_settings():
    result = run_failing(['-c', 'import main'], {'PORT': '0'})
    assert {line.split(':')[0] for line in result.stderr.splitlines()} == {'PORT', *PRODUCTION}


def run_failing(arguments: list[str], values: Mapping[str, str | None]) -> subprocess.CompletedProcess[str]:
    given = {name: value for name, value in values.items() if value is not None}
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=Path(__file__).parents[2],
        env=os.environ | {'ENVIRONMENT': 'production'} | given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    return result


@pytest.mark.parametrize(
    'url',
    [
        '',
        'api.example.com',
        'https://',
        'https://h/',
        'https://h/api',
        'https://h?x',
        'https://h#x',
        'ftp://h',
        'https://u@h',
    ],
)
def test_public_url_must_be_an_origin(monkeypatch, url):
    assert error_lines(monkeypatch, PUBLIC_URL=url) == ['PUBLIC_URL: must have the form https://api.example.com']


@pytest.mark.parametrize('url', ['https://api.example.com', 'http://localhost:8000', 'https://[::1]:8443'])
def test_origins_are_kept_unchanged(monkeypatch, url):
    setenv(monkeypatch, **(PRODUCTION | {'PUBLIC_URL': url}))
    assert read_settings().public_url == url


def test_development_links_use_the_server_address(monkeypatch):
    setenv(monkeypatch, ENVIRONMENT='development', HOST='localhost', PORT='8000')
    settings = read_settings()
    assert (settings.public_url, settings.mail_from) == ('http://localhost:8000', 'microblog@localhost')
    assert (settings.mail_server, settings.ratelimit_enabled) == ('', False)


@pytest.mark.parametrize('sender', ['', 'sender', 'a@', '@b', 'a b@c', 'A <a@b>', 'a@b,c@d', 'a@b\nBcc: c@d'])
def test_invalid_sender_is_rejected(monkeypatch, sender):
    assert error_lines(monkeypatch, MAIL_FROM=sender) == ['MAIL_FROM: must be an e-mail address']


@pytest.mark.parametrize('name', ['MAIL_PORT', 'MAIL_SECURITY', 'REQUIRE_VERIFIED_EMAIL', 'RATELIMIT_ENABLED'])
def test_invalid_values_are_reported_in_one_line(monkeypatch, name):
    (line,) = error_lines(monkeypatch, **{name: 'nonsense'})
    assert line.startswith(f'{name}: ')


@pytest.mark.parametrize(
    'values',
    [
        {'RATELIMIT_ENABLED': 'false'},
        {'RATELIMIT_STORAGE_URI': 'redis://127.0.0.1:6379/0'},
        {'RATELIMIT_STORAGE_URI': 'rediss://cache.example.com/1'},
        {'WEB_WORKERS': '1'},
        {'ENVIRONMENT': 'development', 'RATELIMIT_ENABLED': 'true'},
    ],
)
def test_several_processes_need_shared_or_no_limits(monkeypatch, values):
    setenv(monkeypatch, **(PRODUCTION | {'WEB_WORKERS': '2'} | values))
    assert read_settings().web_workers == int(values.get('WEB_WORKERS', 2))


def test_several_processes_need_a_storage_uri(monkeypatch):
    (line,) = error_lines(monkeypatch, WEB_WORKERS='2')
    assert line.startswith('RATELIMIT_STORAGE_URI: ')


@pytest.mark.parametrize('uri', ['', 'redis', 'redis://', 'redis:///0', 'memcached://h', 'http://h', 'memory://x'])
def test_unknown_storage_is_rejected(monkeypatch, uri):
    (line,) = error_lines(monkeypatch, RATELIMIT_STORAGE_URI=uri)
    assert line == 'RATELIMIT_STORAGE_URI: must be memory:// or have the form redis://host:port/number'


def error_lines(monkeypatch: pytest.MonkeyPatch, **values: str) -> list[str]:
    """Return the lines of the ConfigError that these values cause in production."""
    setenv(monkeypatch, **(PRODUCTION | values))
    with pytest.raises(ConfigError) as error:
        read_settings()
    return str(error.value).splitlines()


@pytest.mark.parametrize(('environment', 'timeout'), [('development', 3), ('production', 30)])
def test_server_starts_with_the_settings(environment, timeout):
    words = granian_command(Settings(environment=environment, port=8000, web_workers=3))
    options = dict(itertools.pairwise(words))
    assert (options['--port'], options['--workers']) == ('8000', '3')
    assert options['--workers-kill-timeout'] == str(timeout)
    assert int(options['--blocking-threads']) > Settings.web_threads


def test_every_setting_is_documented():
    documented = (Path(__file__).parents[2] / 'docs' / 'settings.md').read_text()
    names = {name.upper() for name in Settings.__dataclass_fields__} - {'DEBUG'} | {'FLASK_DEBUG'}
    assert names == set(re.findall(r'^\| `([A-Z_]+)` \|', documented, re.MULTILINE))


def test_cors_origins_are_a_list(monkeypatch):
    setenv(monkeypatch, ENVIRONMENT='development', CORS_ORIGINS='https://app.example.com,http://localhost:3000')
    assert read_settings().cors_origins == ('https://app.example.com', 'http://localhost:3000')
    assert error_lines(monkeypatch, CORS_ORIGINS='https://app.example.com/') == [
        'CORS_ORIGINS: must have the form https://api.example.com'
    ]
    assert error_lines(monkeypatch, CORS_ORIGINS='*')


@pytest.mark.parametrize(
    'contact', ['mailto:security@example.com', 'https://example.com/security', 'tel:+1-201-555-0123']
)
def test_security_contact_must_be_a_uri(monkeypatch, contact):
    setenv(monkeypatch, ENVIRONMENT='development', SECURITY_CONTACT=contact)
    assert read_settings().security_contact == contact


@pytest.mark.parametrize(
    'contact', ['security@example.com', 'http://example.com', 'https://example.com\nX: y', 'mailto:']
)
def test_invalid_contact_is_rejected(monkeypatch, contact):
    (line,) = error_lines(monkeypatch, SECURITY_CONTACT=contact)
    assert line.startswith('SECURITY_CONTACT: must have the form')
