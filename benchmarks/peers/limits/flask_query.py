"""A limit: the same query in a Flask view that does nothing else."""

from typing import Any

from flask import Flask, Response, request

from benchmarks.peers.limits import query

app = Flask(__name__, static_folder=None)


@app.get('/api/users')
@app.get('/api/users/<int:id>')
def answer(**arguments: Any) -> Response:
    body = query.answer(request.environ)
    return Response(body or b'{}', 200 if body else 401, mimetype='application/json')
