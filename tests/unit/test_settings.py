import itertools
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import config
from api.server import command
from config import SAMPLE_SECRET_KEY, ConfigError, Settings, read_settings

KEY = 'k' * 32


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ('FLASK_DEBUG', 'FLASK_RUN_FROM_CLI', *Settings.__dataclass_fields__):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(config, 'ROOT', tmp_path)


def setenv(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_development_needs_nothing(monkeypatch):
    setenv(monkeypatch, ENVIRONMENT='development')
    assert read_settings() == Settings()


def test_the_flask_command_is_for_development(monkeypatch):
    setenv(monkeypatch, FLASK_RUN_FROM_CLI='true')
    assert read_settings().environment == 'development'


def test_whatever_else_loads_the_application_serves_it(monkeypatch):
    setenv(monkeypatch, SECRET_KEY=KEY)
    settings = read_settings()
    assert settings.production
    assert settings.log_format == 'json'


def test_every_mistake_is_named_at_once(monkeypatch):
    setenv(monkeypatch, ENVIRONMENT='prod', PORT='http', DATABASE_URL='mysql://x', TRUSTED_PROXIES='-1')
    with pytest.raises(ConfigError) as error:
        read_settings()
    named = {line.split(':')[0] for line in str(error.value).splitlines()}
    assert named == {'ENVIRONMENT', 'PORT', 'DATABASE_URL', 'TRUSTED_PROXIES', 'SECRET_KEY'}


@pytest.mark.parametrize(
    ('url', 'driver'),
    [
        ('sqlite:///a.sqlite', 'sqlite:///a.sqlite'),
        ('postgres://u:p@h/d', 'postgresql+psycopg://u:p@h/d'),
        ('postgresql://u:p@h:5/d', 'postgresql+psycopg://u:p@h:5/d'),
    ],
)
def test_the_driver_is_ours_to_name(monkeypatch, url, driver):
    setenv(monkeypatch, ENVIRONMENT='development', DATABASE_URL=url)
    assert read_settings().database_url == driver


@pytest.mark.parametrize('url', ['', 'nonsense', 'mysql://host/name', 'sqlite', '://'])
def test_an_unknown_database_is_refused(monkeypatch, url):
    setenv(monkeypatch, ENVIRONMENT='development', DATABASE_URL=url)
    with pytest.raises(ConfigError, match='DATABASE_URL'):
        read_settings()


def test_a_file_is_read_and_the_environment_goes_before_it(monkeypatch, tmp_path):
    (tmp_path / '.env').write_text('ENVIRONMENT=development\nPORT=8000\nHOST=0.0.0.0\n')
    setenv(monkeypatch, PORT='9000')
    settings = read_settings()
    assert (settings.host, settings.port) == ('0.0.0.0', 9000)


@pytest.mark.parametrize(
    ('values', 'line'),
    [
        ({}, r'SECRET_KEY: .*not set\.'),
        ({'SECRET_KEY': ''}, 'SECRET_KEY: is shorter than 32 characters.*'),
        ({'SECRET_KEY': 'short'}, 'SECRET_KEY: is shorter than 32 characters.*'),
        ({'SECRET_KEY': SAMPLE_SECRET_KEY}, 'SECRET_KEY: is the sample key.*'),
        ({'SECRET_KEY': KEY, 'SECRET_KEY_FALLBACKS': 'short'}, 'SECRET_KEY_FALLBACKS: .*shorter than 32.*'),
        ({'SECRET_KEY': KEY, 'FLASK_DEBUG': '1'}, 'FLASK_DEBUG: must be off in production'),
    ],
)
def test_production_refuses_to_start(values, line):
    """In one line each, within two seconds, from a real process."""
    began = time.monotonic()
    ran = refused(['-m', 'api.server'], values)
    assert time.monotonic() - began < 2
    assert re.fullmatch(line + '\n', ran.stderr)


def test_a_server_that_loads_the_application_refuses_it_alike():
    ran = refused(['-c', 'import main'], {'PORT': '0'})
    assert {line.split(':')[0] for line in ran.stderr.splitlines()} == {'PORT', 'SECRET_KEY'}


def refused(arguments: list[str], values: dict[str, str]) -> subprocess.CompletedProcess[str]:
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=Path(__file__).parents[2],
        env=os.environ | {'ENVIRONMENT': 'production'} | values,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    return ran


@pytest.mark.parametrize(('environment', 'patience'), [('development', 3), ('production', 30)])
def test_the_server_is_started_as_the_settings_say(environment, patience):
    words = command(Settings(environment=environment, port=8000, web_workers=3))
    options = dict(itertools.pairwise(words))
    assert (options['--port'], options['--workers']) == ('8000', '3')
    assert options['--workers-kill-timeout'] == str(patience)


def test_every_setting_is_documented():
    documented = (Path(__file__).parents[2] / 'docs' / 'settings.md').read_text()
    names = {name.upper() for name in Settings.__dataclass_fields__} - {'DEBUG'} | {'FLASK_DEBUG'}
    assert names == set(re.findall(r'^\| `([A-Z_]+)` \|', documented, re.MULTILINE))
