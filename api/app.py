"""create_app(): wiring, nothing else."""

import re

from apifairy import APIFairy
from flask import Flask
from flask_cors import CORS
from sqlalchemy import Engine, create_engine
from werkzeug.middleware.proxy_fix import ProxyFix

from api import cli
from api.counters import Counters
from api.database import engine_options, prepare_engine
from api.edge import openapi
from api.edge.application import Application, Finisher, Starter
from api.edge.bodies import say_cut_off
from api.edge.conditional import answer_unchanged
from api.edge.contract import keep_contract, tell_contract
from api.edge.deprecation import announce_deprecation
from api.edge.headers import CORS_OPTIONS, control_caches, secure
from api.edge.limits import tell_limits
from api.edge.logs import begin_request, configure_logs, log_request
from api.edge.rendering import render_errors
from api.edge.transaction import confirm_dry_run
from api.edge.turns import refuse_without_turn, take_turns
from api.edge.urls import IdConverter
from api.extensions import db, keyring, mailer, passwords
from api.replica import Replica
from api.routes.account import account
from api.routes.contract import contract as contract_routes
from api.routes.docs import docs
from api.routes.health import health
from api.routes.me import me
from api.routes.pages import pages
from api.routes.personal_tokens import personal
from api.routes.posts import posts
from api.routes.problems import problems
from api.routes.tokens import tokens
from api.routes.users import users
from api.routes.wellknown import wellknown
from config import Settings, read_settings

BLUEPRINTS = (users, me, posts, tokens, personal, account, health, contract_routes, problems, wellknown, pages, docs)

STARTERS: list[Starter] = [begin_request, refuse_without_turn]

# In this order: the ETag is compared when the headers are there, and the log tells what is sent.
FINISHERS: list[Finisher] = [
    tell_contract,
    announce_deprecation,
    control_caches,
    secure,
    tell_limits,
    confirm_dry_run,
    answer_unchanged,
    say_cut_off,
    log_request,
]

# A write looks its credentials up on another connection than it writes on, though not at the same time.
SPARE_CONNECTIONS = 2


def create_app(settings: Settings | None = None) -> Flask:
    """The application. settings: those of the environment where none are given; raises ConfigError for wrong ones."""
    settings = settings or read_settings()
    configure_logs(settings.log_level, settings.log_format)
    app = Application('api', static_folder=None)
    app.config.from_mapping(flask_config(settings))
    app.url_map.converters['int'] = IdConverter
    app.url_map.merge_slashes = False
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]

    keyring.load(settings.secret_key, settings.secret_key_fallbacks)
    passwords.min_length = settings.password_min_length
    mailer.configure(
        server=settings.mail_server,
        port=settings.mail_port,
        security=settings.mail_security,
        username=settings.mail_username,
        password=settings.mail_password,
        sender=settings.mail_from,
    )
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)
        app.extensions['replica'] = replica_of(db.engine, settings)
    apifairy = APIFairy(app)
    apifairy.process_apispec(openapi.complete)

    if settings.cors_origins:
        CORS(app, origins=[re.compile(re.escape(origin) + r'\Z') for origin in settings.cors_origins], **CORS_OPTIONS)
    app.extensions['limits'] = Counters(settings.ratelimit_storage_uri) if settings.ratelimit_enabled else None
    keep_contract(app, apifairy)
    app.starters = STARTERS
    app.finishers = FINISHERS
    take_turns(app, settings.web_threads, settings.max_body_bytes)
    render_errors(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    cli.add_commands(app)
    return app


def replica_of(primary: Engine, settings: Settings) -> Replica | None:
    url = settings.database_replica_url
    if not url:
        return None
    engine = create_engine(url, **engine_options(url, settings.web_threads + SPARE_CONNECTIONS))
    prepare_engine(engine)
    return Replica(primary, engine)


def flask_config(settings: Settings) -> dict[str, object]:
    """Our settings by the names that Flask and its extensions know."""
    return {
        'SECRET_KEY': settings.secret_key,
        'SECRET_KEY_FALLBACKS': list(settings.secret_key_fallbacks),
        'DEBUG': settings.debug,
        'MAX_CONTENT_LENGTH': settings.max_body_bytes,
        'TRUSTED_HOSTS': list(settings.trusted_hosts) or None,
        'SQLALCHEMY_DATABASE_URI': settings.database_url,
        'SQLALCHEMY_ENGINE_OPTIONS': engine_options(settings.database_url, settings.web_threads + SPARE_CONNECTIONS),
        'PUBLIC_URL': settings.public_url,
        'SECURITY_CONTACT': settings.security_contact,
        'POSTING_NEEDS_VERIFIED_EMAIL': settings.posting_needs_verified_email,
        'APIFAIRY_TITLE': 'Microblog API',
        'APIFAIRY_VERSION': '0.1.0',
        'APIFAIRY_APISPEC_VERSION': '3.1.0',
        # api/routes/contract.py and docs.py serve them.
        'APIFAIRY_APISPEC_PATH': None,
        'APIFAIRY_UI_PATH': None,
    }
