"""The documentation page in a browser: every operation is tried out, and nothing of it comes from anywhere else.

SCREENSHOTS=<folder> keeps pictures of it.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, sync_playwright

from tests import databases
from tests.conftest import PASSWORD
from tests.servers import Server

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

pytestmark = pytest.mark.parametrize('database_url', ['sqlite'], indirect=True, scope='session')


@pytest.fixture
def url(server: Server) -> str:
    return f'http://127.0.0.1:{server.port}'


@pytest.fixture
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        databases.skip_unless_required('browser', 'none of ' + ', '.join(BROWSERS))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """Whatever goes wrong in the browser."""
    return []


@pytest.fixture
def page(browser: Browser, url: str, complaints: list[str]) -> Page:
    """The page, which `/` leads to."""
    page = browser.new_page(viewport={'width': 1280, 'height': 900})
    page.set_default_timeout(10_000)
    page.on('console', lambda said: said.type in ('error', 'warning') and complaints.append(said.text))
    page.on('pageerror', lambda error: complaints.append(str(error)))
    page.on('request', lambda request: at_home(request, url) or complaints.append(f'asked for {request.url}'))
    page.on('requestfailed', lambda request: complaints.append(f'{request.url}: {request.failure}'))
    page.on('response', lambda answer: answer.status < 400 or complaints.append(f'{answer.url}: {answer.status}'))
    page.goto(url)
    assert urlsplit(page.url).path == '/docs'
    return page


def at_home(request: Request, url: str) -> bool:
    return request.url.startswith((f'{url}/', 'data:'))


def test_every_operation_can_be_tried_out(page: Page, complaints: list[str], url: str) -> None:
    called = []

    def call(operation_id: str, status: int, body: dict[str, str] | None = None, **parameters: str) -> str:
        called.append(operation_id)
        return try_out(page, operation_id, status, body, parameters)

    susan = {'username': 'susan', 'email': 'susan@example.com', 'password': PASSWORD}
    user_id = str(json.loads(call('users_create', 201, susan))['id'])
    authorize(page, {'auth-basic-username': 'susan', 'auth-basic-password': PASSWORD})
    token = json.loads(call('tokens_create', 200))['token']
    authorize(page, {'auth-bearer-value': token})
    assert 'susan' in call('users_index', 200)
    keep_picture(operation(page, 'users_index'), 'operation')
    for operation_id in ('users_show', 'users_followers', 'users_following'):
        call(operation_id, 200, id=user_id)
    assert 'Hello!' in call('users_update', 200, {'about_me': 'Hello!'}, id=user_id)
    assert 'Hello again!' in call('users_patch', 200, {'about_me': 'Hello again!'}, id=user_id)
    ben = {'username': 'ben', 'email': 'ben@example.com', 'password': PASSWORD}
    ben_id = str(page.request.post(f'{url}/api/users', data=ben).json()['id'])
    for operation_id in ('me_follow', 'me_following', 'me_unfollow'):
        call(operation_id, 204, id=ben_id)
    assert 'susan@example.com' in call('me_show', 200)
    assert '"followed_by": false' in call('me_related', 200, id=ben_id)
    post_id = str(json.loads(call('posts_create', 201, {'text': 'Good morning!'}))['id'])
    assert 'Good evening!' in call('posts_update', 200, {'text': 'Good evening!'}, id=post_id)
    assert 'Good night!' in call('posts_patch', 200, {'text': 'Good night!'}, id=post_id)
    for operation_id in ('posts_like', 'posts_liked'):
        call(operation_id, 204, id=post_id)
    for operation_id in ('posts_show', 'posts_thread'):
        assert 'Good night!' in call(operation_id, 200, id=post_id)
    for operation_id in ('users_posts', 'users_likes'):
        assert 'Good night!' in call(operation_id, 200, id=user_id)
    for operation_id in ('posts_index', 'me_feed'):
        assert 'Good night!' in call(operation_id, 200)
    assert 'Good morning!' in call('posts_history', 200, id=post_id)
    assert 'susan' in call('posts_likes', 200, id=post_id)
    call('posts_replies', 200, id=post_id)
    for operation_id in ('posts_unlike', 'posts_delete'):
        call(operation_id, 204, id=post_id)
    call('health_alive', 200)
    call('health_ready', 200)
    call('tokens_delete', 204)

    document = page.request.get(f'{url}/apispec.json').json()
    operations = {operation['operationId'] for path in document['paths'].values() for operation in path.values()}
    assert set(called) == operations
    assert complaints == []


def test_the_page_explains_itself(page: Page, complaints: list[str], url: str) -> None:
    page.locator('.opblock').first.wait_for()
    keep_picture(page.locator('#docs'), 'page')
    assert page.get_by_role('heading', name='First steps').is_visible()
    assert complaints == []


def test_the_page_may_load_nothing_from_elsewhere(page: Page, url: str) -> None:
    policy = page.request.get(f'{url}/docs').headers['content-security-policy']
    rules = dict(rule.split(' ', 1) for rule in policy.split('; '))
    assert rules.pop('default-src') == "'none'"
    assert {source for sources in rules.values() for source in sources.split()} <= {"'self'", "'none'", 'data:'}


def operation(page: Page, operation_id: str) -> Locator:
    return page.locator(f'[id$="-{operation_id}"].opblock')


def try_out(page: Page, operation_id: str, status: int, body: dict[str, str] | None, parameters: dict[str, str]) -> str:
    """Opens an operation, fills it in, executes it, and returns the body of the answer."""
    for opened in page.locator('.opblock.is-open .opblock-summary-control').all():
        opened.click()  # all that is open is drawn again at each key
    block = operation(page, operation_id)
    block.locator('.opblock-summary-control').click()
    for name, value in parameters.items():
        field = block.locator(f'[data-param-name={name}]')
        field.locator('.json-schema-array, input').first.wait_for()
        if field.locator('.json-schema-array').count() and not field.locator('input').count():
            field.get_by_role('button', name='Add').click()
        field.locator('input').first.fill(value)
    if body is not None:
        block.locator('textarea').fill(json.dumps(body))
    block.get_by_role('button', name='Execute').click()
    answer = block.locator('.live-responses-table .response')
    assert answer.locator('.response-col_status').inner_text().split()[0] == str(status)
    return text_of(answer)


def text_of(answer: Locator) -> str:
    text = answer.locator('.highlight-code code')
    return text.inner_text() if text.count() else ''


def authorize(page: Page, fields: dict[str, str]) -> None:
    """Enters credentials in the dialog."""
    page.locator('.auth-wrapper > .authorize').click()
    for name, value in fields.items():
        page.locator(f'#{name}').fill(value)
    page.locator('.auth-container', has=page.locator(f'#{name}')).get_by_label('Apply credentials').click()
    page.locator('.close-modal').click()


def keep_picture(part: Locator, name: str) -> None:
    if folder := os.environ.get('SCREENSHOTS'):
        part.screenshot(path=Path(folder, f'{name}.png'))
