// The story, told with openapi-fetch and the types of openapi-typescript: `node story.js http://127.0.0.1:5000`.
// story.py tells the same one. Both end at the first answer that is not as it should be.

import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';
import type { components, paths } from './schema.js';

type Schemas = components['schemas'];
type Answer<T> = { data?: T; error?: unknown; response: Response };
type Page<Item> = { items: Item[]; _links: Schemas['PageLinks'] };

const SUSAN = 'susan-of-typescript';
const BEN = 'ben-of-typescript';
const PASSWORD = 'correct horse battery';
const TEXTS = ['one', 'two', 'three', 'four', 'five'];

const url = process.argv[2];

// Errors may come as problems or as pages, too, where one asks for that: this client takes JSON.
function client(authorization?: string) {
  return createClient<paths, 'application/json'>({ baseUrl: url, headers: { Authorization: authorization } });
}

type Client = ReturnType<typeof client>;

function hasStatus(status: number, { response, error }: Answer<unknown>) {
  assert.equal(response.status, status, `${response.status} instead of ${status}: ${JSON.stringify(error)}`);
}

// What the answer says, when it has this status.
function expect<T>(status: number, answer: Answer<T>): T {
  hasStatus(status, answer);
  assert(answer.data !== undefined);
  return answer.data;
}

function refuse(status: number, answer: { error?: Schemas['Error']; response: Response }, message?: string) {
  hasStatus(status, answer);
  assert.equal(answer.error?.message, message);
}

// The page, and those that the links to the next lead to.
async function* pages<Item>(page: Page<Item>, follow: (link: string) => Promise<Answer<Page<Item>>>) {
  yield page;
  while (page._links.next !== null) {
    page = expect(200, await follow(page._links.next));
    yield page;
  }
}

function newUser(username: string, email: string): Schemas['UserCreate'] {
  return { username, email: `${email}@example.com`, password: PASSWORD };
}

async function register(username: string) {
  const answer = await client().POST('/api/users', { body: newUser(username, username) });
  const user = expect(201, answer);
  assert.equal(answer.response.headers.get('Location'), user._links.self);
  assert.equal(user.username, username);
  return user;
}

async function logIn(username: string) {
  const basic = client(`Basic ${Buffer.from(`${username}:${PASSWORD}`).toString('base64')}`);
  const { token } = expect(200, await basic.POST('/api/tokens'));
  return client(`Bearer ${token}`);
}

async function readMe(susan: Client, id: number) {
  const me = expect(200, await susan.GET('/api/me'));
  assert.deepEqual([me.id, me.username, me.email], [id, SUSAN, `${SUSAN}@example.com`]);
  assert.equal(me.about_me, null);
}

async function pageThroughPosts(susan: Client, id: number) {
  for (const text of TEXTS) {
    expect(201, await susan.POST('/api/posts', { body: { text } }));
  }
  const params = { path: { id }, query: { per_page: 2 } };
  const first = expect(200, await susan.GET('/api/users/{id}/posts', { params }));
  const found = [];
  // A link has the whole path in it. The type is that of a path that gives the same and has nothing to fill in.
  for await (const page of pages(first, (link) => susan.GET(link as '/api/posts'))) {
    found.push(page.items.map((post) => post.text));
  }
  assert.deepEqual(found, [['five', 'four'], ['three', 'two'], ['one']]);
}

async function pageThroughUsers(susan: Client, ids: number[]) {
  const first = expect(200, await susan.GET('/api/users', { params: { query: { per_page: 1 } } }));
  const found: number[] = [];
  for await (const page of pages(first, (link) => susan.GET(link as '/api/users'))) {
    found.push(...page.items.map((user) => user.id));
  }
  assert.deepEqual([first._meta.total_items, first._meta.total_pages], [found.length, found.length]);
  assert(ids.every((id) => found.includes(id)), `${ids} among ${found}`);
}

function patch(susan: Client, id: number, changes: Schemas['UserUpdate']) {
  const headers = { 'Content-Type': 'application/merge-patch+json' };
  return susan.PATCH('/api/users/{id}', { params: { path: { id } }, body: changes, headers });
}

async function change(susan: Client, id: number) {
  const about_me = 'Hello, my name is Susan!';
  assert.equal(expect(200, await patch(susan, id, { about_me })).about_me, about_me);
  const shown = expect(200, await susan.GET('/api/users/{id}', { params: { path: { id } } }));
  assert.equal(shown.about_me, about_me);
}

async function conflict(susan: Client, id: number) {
  const message = 'please use a different username';
  refuse(400, await client().POST('/api/users', { body: newUser(SUSAN, 'another') }), message);
  refuse(400, await patch(susan, id, { username: BEN }), message);
  const headers = { 'Content-Type': 'application/merge-patch+json' };
  const params = { path: { id }, header: { 'If-Match': '"old"' } };
  const stale = await susan.PATCH('/api/users/{id}', { params, body: { about_me: 'late' }, headers });
  refuse(412, stale, 'the resource has changed since you read it');
}

async function narrowAndRevoke(susan: Client) {
  const made = expect(201, await susan.POST('/api/me/tokens', { body: { name: 'reader', scopes: ['posts:read'] } }));
  assert.deepEqual(made.scopes, ['posts:read']);
  const reader = client(`Bearer ${made.token}`);
  expect(200, await reader.GET('/api/posts'));
  refuse(403, await reader.POST('/api/posts', { body: { text: 'six' } }), 'this token lacks a required scope');
  hasStatus(204, await susan.DELETE('/api/me/tokens/{id}', { params: { path: { id: made.id } } }));
  refuse(401, await reader.GET('/api/posts'));
}

async function logOut(susan: Client) {
  hasStatus(204, await susan.DELETE('/api/tokens'));
  refuse(401, await susan.GET('/api/me'));
}

const { id } = await register(SUSAN);
const ben = await register(BEN);
const susan = await logIn(SUSAN);
await readMe(susan, id);
await pageThroughPosts(susan, id);
await pageThroughUsers(susan, [id, ben.id]);
await change(susan, id);
await conflict(susan, id);
await narrowAndRevoke(susan);
await logOut(susan);
