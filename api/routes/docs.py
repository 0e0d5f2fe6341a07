"""The documentation page: Swagger UI, with all files served from this host."""

from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Response, redirect, render_template, send_from_directory
from flask.typing import ResponseReturnValue

ASSETS = Path(flask_swagger_ui.__file__).parent / 'dist'

docs = Blueprint('docs', __name__, static_folder='../static', static_url_path='/docs/static')


@docs.get('/')
def home() -> ResponseReturnValue:
    return redirect('/docs')


@docs.get('/docs')
def page() -> str:
    return render_template('docs.html')


@docs.get('/docs/assets/<path:name>')
def asset(name: str) -> Response:
    return send_from_directory(ASSETS, name, max_age=86400)
