"""The pages in a browser: every operation of the documentation page, the forms that mails link to, and no requests to
other origins.

SCREENSHOTS=<folder> saves screenshots there.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from flask import Flask
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, sync_playwright

from api.actions.passwords import password_reset_state
from api.queries.users import get_user_by_username
from api.security.mail_tokens import EMAIL_VERIFICATION, PASSWORD_RESET, sign_mail_token
from api.security.scopes import SCOPES
from support import databases
from support.servers import Server
from tests.support.client import PASSWORD, Client, basic

BROWSERS = ['chromium', 'chromium-browser', 'google-chrome']
ARGUMENTS = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
]


class Form(NamedTuple):
    """A page that a mail links to: the values to enter and the button to press."""

    name: str
    purpose: str
    fields: dict[str, str]
    button: str


SUSAN = {'username': 'susan', 'email': 'susan@example.com', 'password': PASSWORD}
SECOND_PASSWORD, THIRD_PASSWORD = 'battery horse correct', 'horse correct battery'
RESET_FORM = Form('reset-password', PASSWORD_RESET, {'New password': SECOND_PASSWORD}, 'Change password')
FORMS = [Form('verify-email', EMAIL_VERIFICATION, {}, 'Verify'), RESET_FORM]

pytestmark = pytest.mark.parametrize('database_url', ['sqlite'], indirect=True, scope='session')


@pytest.fixture
def url(server: Server) -> str:
    return f'http://127.0.0.1:{server.port}'


@pytest.fixture
def browser(starts_processes: None) -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        databases.skip_unless_required('browser', 'none of ' + ', '.join(BROWSERS))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """Return a list that collects the errors and warnings of the browser."""
    return []


def is_complaint(message: ConsoleMessage) -> bool:
    # For list items, Swagger UI looks for an input of their format, warns that it has none, and uses another.
    return message.type in ('error', 'warning') and 'JsonSchema_integer_int64' not in message.text


@pytest.fixture
def tab(browser: Browser, url: str, complaints: list[str]) -> Page:
    """Return an empty page that records its errors and warnings in `complaints`."""
    page = browser.new_page(viewport={'width': 1280, 'height': 900})
    page.set_default_timeout(120_000)
    page.on('console', lambda message: is_complaint(message) and complaints.append(message.text))
    page.on('pageerror', lambda error: complaints.append(str(error)))
    page.on('request', lambda request: is_same_origin(request, url) or complaints.append(f'requested {request.url}'))
    page.on('requestfailed', lambda request: complaints.append(f'{request.url}: {request.failure}'))
    page.on(
        'response', lambda response: response.status < 400 or complaints.append(f'{response.url}: {response.status}')
    )
    return page


@pytest.fixture
def page(tab: Page, url: str) -> Page:
    """Return the documentation page, to which `/` redirects."""
    tab.goto(url)
    assert urlsplit(tab.url).path == '/docs'
    return tab


def is_same_origin(request: Request, url: str) -> bool:
    return request.url.startswith((f'{url}/', 'data:'))


def test_every_operation_can_be_tried_out(page: Page, complaints: list[str], url: str, app: Flask) -> None:
    called = []

    def call(operation_id: str, status: int, body: dict[str, Any] | None = None, **parameters: str) -> str:
        called.append(operation_id)
        return try_out(page, operation_id, status, body, parameters)

    user_id = str(json.loads(call('createUser', 201, SUSAN))['id'])
    assert 'on its way' in call('requestPasswordReset', 202, {'email': 'susan@example.com'})
    call('resetPassword', 204, {'token': mail_token(app, PASSWORD_RESET), 'new_password': SECOND_PASSWORD})
    authorize(page, {'auth-basic-username': 'susan', 'auth-basic-password': SECOND_PASSWORD})
    token = json.loads(call('createToken', 200))['token']
    authorize(page, {'auth-bearer-value': token})
    call('changePassword', 204, {'old_password': SECOND_PASSWORD, 'new_password': THIRD_PASSWORD})
    assert 'on its way' in call('requestEmailVerification', 202)
    call('verifyEmail', 204, {'token': mail_token(app, EMAIL_VERIFICATION)})
    assert 'susan' in call('listUsers', 200)
    save_screenshot(operation(page, 'listUsers'), 'operation')
    for operation_id in ('getUser', 'listFollowers', 'listFollowing'):
        call(operation_id, 200, id=user_id)
    assert 'Hello!' in call('updateUser', 200, {'about_me': 'Hello!'}, id=user_id)
    assert 'Hello again!' in call('patchUser', 200, {'about_me': 'Hello again!'}, id=user_id)
    ben = {'username': 'ben', 'email': 'ben@example.com', 'password': PASSWORD}
    ben_id = str(page.request.post(f'{url}/api/users', data=ben).json()['id'])
    for operation_id in ('followUser', 'checkFollowing', 'unfollowUser'):
        call(operation_id, 204, id=ben_id)
    assert 'susan@example.com' in call('getCurrentUser', 200)
    assert '"followed_by": false' in call('getRelationships', 200, id=ben_id)
    assert 'Good morning!' in call('createPost', 201, {'text': 'Good morning!'}, Prefer='dry-run')
    save_screenshot(operation(page, 'createPost'), 'dry_run')
    assert '"post_count": 0' in call('getCurrentUser', 200)
    post_id = str(json.loads(call('createPost', 201, {'text': 'Good morning!'}, Prefer=''))['id'])
    assert 'Good evening!' in call('updatePost', 200, {'text': 'Good evening!'}, id=post_id)
    assert 'Good night!' in call('patchPost', 200, {'text': 'Good night!'}, id=post_id)
    for operation_id in ('likePost', 'checkLike'):
        call(operation_id, 204, id=post_id)
    for operation_id in ('getPost', 'getThread'):
        assert 'Good night!' in call(operation_id, 200, id=post_id)
    for operation_id in ('listUserPosts', 'listUserLikes'):
        assert 'Good night!' in call(operation_id, 200, id=user_id)
    for operation_id in ('listPosts', 'getFeed'):
        assert 'Good night!' in call(operation_id, 200)
    assert 'Good morning!' in call('listPostVersions', 200, id=post_id)
    assert 'susan' in call('listPostLikers', 200, id=post_id)
    call('listReplies', 200, id=post_id)
    for operation_id in ('unlikePost', 'deletePost'):
        call(operation_id, 204, id=post_id)
    call('checkLiveness', 200)
    call('checkReadiness', 200)
    assert 'POST /api/users' in call('getChangelog', 200)
    wanted = {'name': 'nightly backup', 'scopes': ['posts:read', 'account:export'], 'expires_in': 3600}
    made = json.loads(call('createPersonalAccessToken', 201, wanted))
    save_screenshot(operation(page, 'createPersonalAccessToken'), 'createPersonalAccessToken')
    token_id = str(made['id'])
    assert 'nightly backup' in call('listPersonalAccessTokens', 200)
    assert 'posts:read' in call('getPersonalAccessToken', 200, id=token_id)
    assert 'posts:read' not in call('updatePersonalAccessToken', 200, {'scopes': ['account:export']}, id=token_id)
    authorize(page, {'auth-bearer-value': made['token']})
    assert 'nightly backup' in call('getCurrentToken', 200)
    call('exportAccount', 200)
    save_screenshot(operation(page, 'exportAccount'), 'exportAccount')
    with page.expect_download() as download:
        page.get_by_text('Download file').click()
    lines = download.value.path().read_text().splitlines()
    assert [json.loads(line)['kind'] for line in lines] == ['user', 'token']
    authorize(page, {'auth-bearer-value': token})
    call('revokePersonalAccessToken', 204, id=token_id)
    call('revokeAllPersonalAccessTokens', 204)
    call('revokeCurrentToken', 204)
    authorize(page, {'auth-bearer-value': log_in(page, url)})
    call('deleteUser', 204, {'password': THIRD_PASSWORD}, id=user_id)

    document = page.request.get(f'{url}/apispec.json').json()
    operations = {operation['operationId'] for path in document['paths'].values() for operation in path.values()}
    assert set(called) == operations
    assert complaints == []


def test_docs_page_has_an_introduction(page: Page, complaints: list[str], url: str) -> None:
    page.locator('.opblock').first.wait_for()
    save_screenshot(page.locator('#docs'), 'page')
    assert page.get_by_role('heading', name='First steps').is_visible()
    assert complaints == []


def test_authorize_dialog_explains_scopes(page: Page, complaints: list[str]) -> None:
    page.locator('.auth-wrapper > .authorize').click()
    dialog = page.locator('.modal-ux')
    assert dialog.locator('tbody tr').count() == len(SCOPES)
    for scope, sentence in SCOPES.items():
        assert sentence in dialog.locator('tr', has_text=scope).inner_text()
    save_screenshot(dialog, 'authorize')
    assert complaints == []


@pytest.mark.parametrize('form', FORMS, ids=lambda form: form.name)
class TestLinksInMails:
    def test_valid_link(self, form: Form, tab: Page, complaints: list[str], url: str, anonymous: Client) -> None:
        anonymous.post('/api/users', json=SUSAN)
        requested = record_requests(tab)
        link = mail_token(anonymous.application, form.purpose)
        tab.goto(f'{url}/{form.name}#{link}')
        save_screenshot(tab.locator('html'), f'{form.name}-form')
        assert not [address for address in requested if '/api/' in address]
        done = tab.locator('form').get_attribute('data-done') or ''
        press(tab, form)
        outcome(tab, done).wait_for()
        save_screenshot(tab.locator('html'), f'{form.name}-done')
        assert not tab.locator('form').is_visible()
        assert not [address for address in requested if link in address.partition('#')[0]]
        assert complaints == []

    def test_invalid_link(self, form: Form, tab: Page, complaints: list[str], url: str) -> None:
        tab.goto(f'{url}/{form.name}#{"A" * 64}')
        press(tab, form)
        outcome(tab, 'this link is invalid or has expired').wait_for()
        save_screenshot(tab.locator('html'), f'{form.name}-stale')
        assert tab.locator('form').is_visible()
        assert complaints
        assert all('400' in complaint for complaint in complaints)

    def test_truncated_link(self, form: Form, tab: Page, url: str) -> None:
        tab.goto(f'{url}/{form.name}#{"A" * 60}')
        press(tab, form)
        outcome(tab, 'This link is incomplete.').wait_for()
        save_screenshot(tab.locator('html'), f'{form.name}-cut')
        assert tab.locator('form').is_visible()


def test_common_password_can_be_replaced(tab: Page, url: str, anonymous: Client) -> None:
    anonymous.post('/api/users', json=SUSAN)
    tab.goto(f'{url}/reset-password#{mail_token(anonymous.application, PASSWORD_RESET)}')
    press(tab, RESET_FORM._replace(fields={'New password': 'password1'}))
    outcome(tab, 'Among the most common passwords.').wait_for()
    save_screenshot(tab.locator('html'), 'reset-password-common')
    press(tab, RESET_FORM)
    outcome(tab, 'Your password is changed.').wait_for()
    assert anonymous.ask_for_token('susan', SECOND_PASSWORD).status_code == 200


def test_double_click_submits_once(tab: Page, url: str, complaints: list[str], anonymous: Client) -> None:
    anonymous.post('/api/users', json=SUSAN)
    tab.goto(f'{url}/reset-password#{mail_token(anonymous.application, PASSWORD_RESET)}')
    requested = record_requests(tab)
    tab.get_by_label('New password').fill(SECOND_PASSWORD)
    tab.get_by_role('button').dblclick()
    outcome(tab, 'Your password is changed.').wait_for()
    assert [address for address in requested if '/api/' in address] == [f'{url}/api/password-resets']
    assert complaints == []


def test_docs_page_loads_nothing_from_elsewhere(page: Page, url: str) -> None:
    policy = page.request.get(f'{url}/docs').headers['content-security-policy']
    rules = dict(rule.split(' ', 1) for rule in policy.split('; '))
    assert rules.pop('default-src') == "'none'"
    assert {source for sources in rules.values() for source in sources.split()} <= {"'self'", "'none'", 'data:'}


def operation(page: Page, operation_id: str) -> Locator:
    return page.locator(f'[id$="-{operation_id}"].opblock')


def try_out(page: Page, operation_id: str, status: int, body: dict[str, Any] | None, parameters: dict[str, str]) -> str:
    """Open an operation, fill in its form, execute it, and return the response body."""
    for opened in page.locator('.opblock.is-open .opblock-summary-control').all():
        opened.click()  # Swagger UI redraws all open operations on each key press
    block = operation(page, operation_id)
    block.locator('.opblock-summary-control').click()
    for name, value in parameters.items():
        field = block.locator(f'[data-param-name={name}]')
        field.locator('.json-schema-array, input, select').first.wait_for()
        if field.locator('.json-schema-array').count() and not field.locator('input').count():
            field.get_by_role('button', name='Add').click()
        field.locator('input').first.fill(value)
    if body is not None:
        block.locator('textarea').fill(json.dumps(body))
    block.get_by_role('button', name='Execute').click()
    response = block.locator('.live-responses-table .response')
    assert response.locator('.response-col_status').inner_text().split()[0] == str(status)
    return text_of(response)


def text_of(response: Locator) -> str:
    text = response.locator('.highlight-code code')
    return text.inner_text() if text.count() else ''


def mail_token(app: Flask, purpose: str) -> str:
    """Return the token of a mail to susan."""
    with app.app_context():
        user = get_user_by_username('susan').first()
        return sign_mail_token(
            purpose, user.id, password_reset_state(user) if purpose == PASSWORD_RESET else user.email
        )


def log_in(page: Page, url: str) -> str:
    """Return a token of susan, requested without the page."""
    response = page.request.post(f'{url}/api/tokens', headers=basic('susan', THIRD_PASSWORD))
    return str(response.json()['token'])


def record_requests(page: Page) -> list[str]:
    """Return a list that collects the URLs requested from now on."""
    requested: list[str] = []
    page.on('request', lambda request: requested.append(request.url))
    return requested


def press(page: Page, form: Form) -> None:
    for label, value in form.fields.items():
        page.get_by_label(label).fill(value)
    page.get_by_role('button', name=form.button).click()


def outcome(page: Page, text: str) -> Locator:
    return page.get_by_role('status').get_by_text(text)


def authorize(page: Page, fields: dict[str, str]) -> None:
    """Enter credentials in the dialog."""
    page.locator('.auth-wrapper > .authorize').click()
    for other in page.get_by_label('Remove authorization').all():
        other.click()
    for name, value in fields.items():
        page.locator(f'#{name}').fill(value)
    page.locator('.auth-container', has=page.locator(f'#{name}')).get_by_label('Apply credentials').click()
    page.locator('.close-modal').click()


def save_screenshot(part: Locator, name: str) -> None:
    if folder := os.environ.get('SCREENSHOTS'):
        part.screenshot(path=Path(folder, f'{name}.png'))
