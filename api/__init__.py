"""
Users, posts, likes and feeds: the back end of a microblog, for clients that you write.

## First steps

1. Register with `POST /api/users`.
2. Ask for a token with `POST /api/tokens`, with your username and password by HTTP Basic authentication.
3. Send the token with every other request: `Authorization: Bearer <token>`. It lives for an hour.

On this page: press **Authorize**, enter username and password under *basic_auth*, call `POST /api/tokens`, then
enter the token under *token_auth*.

## Collections

A collection comes in pages: `?page=2&per_page=25`. `_meta` counts, `_links` lead on. Follow `_links.next` until it
is null: that costs the same on the last page as on the first. A walk that begins with `?after=` (empty) sees everything
that is there throughout exactly once, also while others come and go.

Posts come in timelines, which are collections without numbers: `_links.next` leads on, and the link to what is newer is
always there (`prev`; in replies, which are in the order of time, `next`). Ask it again and again to learn what is new.

## Errors

Every error has the same shape, with `errors` by field where a body does not fit its schema. Clients that
name `application/problem+json` in `Accept` get problem details (RFC 9457) instead.
"""
