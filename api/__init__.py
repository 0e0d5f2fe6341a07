"""
Users, posts, likes and feeds: the back end of a microblog, for clients that you write.

## First steps

1. Register with `POST /api/users`.
2. Ask for a token with `POST /api/tokens`, with your username and password by HTTP Basic authentication.
3. Send the token with every other request: `Authorization: Bearer <token>`. It lives for an hour.

On this page: press **Authorize**, enter username and password under *basic_auth*, call `POST /api/tokens`, then
enter the token under *token_auth*.

## Tokens for programs

The token that a password gives may do everything, for an hour. For a program make a personal access token with
`POST /api/me/tokens`: it has a name, an end, and only the scopes that you choose. They are listed under **Authorize**,
and each operation names the one that it needs. A token without it is answered 403, with the scope in
`WWW-Authenticate`.

## Collections

A collection comes in pages: `?page=2&per_page=25`. `_meta` counts, `_links` lead on. Follow `_links.next` until it
is null: that costs the same on the last page as on the first. A walk that begins with `?after=` (empty) sees everything
that is there throughout exactly once, also while others come and go.

Posts come in timelines, which are collections without numbers: `_links.next` leads on, and the link to what is newer is
always there (`prev`; in replies, which are in the order of time, `next`). Ask it again and again to learn what is new.

## Limits

A server may limit how often you ask. Then answers have `RateLimit-Policy` and `RateLimit`: `"token";q=300;w=300` allows
300 requests in 300 seconds, of which `"token";r=12;t=40` leaves 12 for the next 40. One too many is answered 429 with
`Retry-After`.

## Errors

Every error has the same shape, with `errors` by field where a body does not fit its schema. Clients that
name `application/problem+json` in `Accept` get problem details (RFC 9457) instead. Each kind of failure has a page
under [/problems](/problems), to which the error's `Link` leads; each operation lists those it can give.

## Asking again, racing, trying out

- **Again:** send a POST with an `Idempotency-Key` of your making. Sent again within 24 hours, it is answered as the
  first time and not done twice.
- **Unchanged:** send the `ETag` of an answer in `If-None-Match`, and get 304 while it is the same.
- **Racing:** send it in `If-Match` with a PUT, PATCH or DELETE, and get 412 where somebody changed the thing since.
  Counts and `last_seen` do not matter for that. Of two who send the same `ETag` one succeeds.
- **Trying out:** with `Prefer: dry-run` a write does everything but keep it. The answer is what it would be.
- **Less:** `?fields=id,username` asks for these members alone, of an item or of the items of a collection.

## Changes

Every answer has the digest of this document in `API-Contract`: where it is another than before, `GET /api/changelog`
tells what changed. Members and errors may be added at any time, so ignore what you do not know. Operations that will
go say so in `Deprecation` and `Sunset` (RFC 9745, RFC 8594).
"""
