"""The problem types: HTML pages for browsers, JSON for programs."""

from flask import Blueprint, Response, render_template
from flask.typing import ResponseReturnValue

from api.errors import NotFoundError
from api.http.negotiation import prefers_html
from api.problems import PROBLEMS
from api.schemas.base import json_response
from api.schemas.errors import ProblemTypeSchema

problems = Blueprint('problems', __name__, url_prefix='/problems')
schema = ProblemTypeSchema()


@problems.get('')
def index() -> ResponseReturnValue:
    if prefers_html():
        return render_template('problems.html', problems=PROBLEMS.values())
    return json_response({'items': schema.compiled.many(list(PROBLEMS.values()))})


@problems.get('/<name>')
def show(name: str) -> ResponseReturnValue:
    problem = PROBLEMS.get(name)
    if problem is None:
        raise NotFoundError
    if prefers_html():
        return render_template('problems.html', problems=[problem])
    response: Response = json_response(schema.compiled(problem))
    return response
