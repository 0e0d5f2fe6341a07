"""
The back end of a microblog: users, posts, likes and feeds, for clients that you write.

## First steps

1. Register with `POST /api/users`.
2. Request a token with `POST /api/tokens`, sending your username and password by HTTP Basic authentication.
3. Send the token with every other request: `Authorization: Bearer <token>`. It is valid for one hour.

On this page: press **Authorize**, enter username and password under *basic_auth*, call `POST /api/tokens`, then
enter the token under *token_auth*.

## Tokens for programs

A token from `POST /api/tokens` has every permission for one hour. For a program, create a personal access token with
`POST /api/me/tokens`: it has a name, an expiration time, and only the scopes that you choose. **Authorize** lists the
scopes, and each operation names the scope that it requires. A token without that scope gets 403, with the scope in
`WWW-Authenticate`.

## Collections

Collections are paginated: `?page=2&per_page=25`. `_meta` contains the counts, `_links` the URLs of other pages. Follow
`_links.next` until it is null: the last page costs the same as the first. An iteration that starts with `?after=`
(empty) returns every item that exists throughout exactly once, even while other items are added and removed.

Posts are returned in timelines: collections without page numbers and counts. `_links.next` leads to the next page. The
link to newer items is always present: `prev`, or `next` in replies, which are sorted from oldest to newest. Poll it to
get new items.

## Limits

A server may limit the rate of requests. Responses then have `RateLimit-Policy` and `RateLimit`:
`"token";q=300;w=300` allows 300 requests in 300 seconds, and `"token";r=12;t=40` says that 12 of them remain for the
next 40 seconds. Requests over the limit get 429 with `Retry-After`.

## Errors

Every error has the same shape, with `errors` by field if a body does not match its schema. Clients that
name `application/problem+json` in `Accept` get problem details (RFC 9457) instead. Each problem type has a page
under [/problems](/problems), to which the `Link` header of the error leads. Each operation lists its problem types.

## Retries, caching, concurrent changes, dry runs

- **Retries:** send a POST with a unique `Idempotency-Key`. Retrying with it within 24 hours returns the original
  response; the operation is not repeated.
- **Caching:** send the `ETag` of a response in `If-None-Match`, and get 304 if the resource has not changed.
- **Concurrent changes:** send the `ETag` in `If-Match` with a PUT, PATCH or DELETE, and get 412 if the resource has
  changed since. Counts and `last_seen` are not compared. If two requests send the same `ETag`, one succeeds.
- **Dry runs:** with `Prefer: dry-run` a write is validated and simulated, and nothing is saved. The response is the
  one that the write would get.
- **Sparse fieldsets:** `?fields=id,username` returns only these fields, of one item or of each item in a collection.

## Changes

Every response has the digest of this document in `API-Contract`. If the digest changes, `GET /api/changelog` lists
what changed. Fields and errors may be added at any time, so ignore unknown ones. Operations that will be
removed announce it in `Deprecation` and `Sunset` (RFC 9745, RFC 8594).
"""
