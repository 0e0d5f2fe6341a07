"""The application factory."""

import re

from apifairy import APIFairy
from flask import Flask
from flask_cors import CORS
from sqlalchemy import Engine, create_engine
from werkzeug.middleware.proxy_fix import ProxyFix

from api import cli
from api.db.engine import configure_engine, engine_options
from api.db.replica import Replica
from api.db.session import db
from api.http.application import AfterRequestHook, Application, BeforeRequestHook
from api.http.concurrency_limiter import limit_concurrency, reject_over_limit
from api.http.conditional import send_not_modified
from api.http.deprecation import add_deprecation_headers
from api.http.errors import register_error_handlers
from api.http.headers import CORS_OPTIONS, add_cache_control, add_security_headers
from api.http.logs import configure_logging, log_request, start_request
from api.http.openapi import completion
from api.http.openapi.document import add_digest_header, init_openapi_document
from api.http.rate_limit.limits import add_rate_limit_headers
from api.http.rate_limit.store import RateLimitStore
from api.http.request_body import close_truncated
from api.http.unit_of_work import add_preference_applied
from api.http.url_converters import IdConverter
from api.jobs.mailer import mailer
from api.routes.account import account
from api.routes.changelog import changelog as contract_routes
from api.routes.docs import docs
from api.routes.health import health
from api.routes.mail_pages import mail_pages
from api.routes.me import me
from api.routes.personal_access_tokens import personal_access_tokens
from api.routes.posts import posts
from api.routes.problems import problems
from api.routes.tokens import tokens
from api.routes.users import users
from api.routes.well_known import well_known
from api.security.keyring import keyring
from api.security.passwords import passwords
from config import Settings, read_settings

BLUEPRINTS = (
    users,
    me,
    posts,
    tokens,
    personal_access_tokens,
    account,
    health,
    contract_routes,
    problems,
    well_known,
    mail_pages,
    docs,
)

BEFORE_REQUEST_HOOKS: list[BeforeRequestHook] = [start_request, reject_over_limit]

# The order matters: send_not_modified needs the headers of the others, and log_request logs the final response.
AFTER_REQUEST_HOOKS: list[AfterRequestHook] = [
    add_digest_header,
    add_deprecation_headers,
    add_cache_control,
    add_security_headers,
    add_rate_limit_headers,
    add_preference_applied,
    send_not_modified,
    close_truncated,
    log_request,
]

# A write looks up its credentials on a different connection from the one it writes on, though not at the same time.
EXTRA_CONNECTIONS = 2


def create_app(settings: Settings | None = None) -> Flask:
    """Create the application.

    settings: default: read from the environment, which raises ConfigError if a setting is invalid.
    """
    settings = settings or read_settings()
    configure_logging(settings.log_level, settings.log_format)
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
        configure_engine(db.engine)
        app.extensions['replica'] = create_replica(db.engine, settings)
    apifairy = APIFairy(app)
    apifairy.process_apispec(completion.complete_document)

    if settings.cors_origins:
        CORS(app, origins=[re.compile(re.escape(origin) + r'\Z') for origin in settings.cors_origins], **CORS_OPTIONS)
    app.extensions['limits'] = RateLimitStore(settings.ratelimit_storage_uri) if settings.ratelimit_enabled else None
    init_openapi_document(app, apifairy)
    app.before_request_hooks = BEFORE_REQUEST_HOOKS
    app.after_request_hooks = AFTER_REQUEST_HOOKS
    limit_concurrency(app, settings.web_threads, settings.max_body_bytes)
    register_error_handlers(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    cli.add_commands(app)
    return app


def create_replica(primary: Engine, settings: Settings) -> Replica | None:
    """Create the replica, or return None if DATABASE_REPLICA_URL is not set."""
    url = settings.database_replica_url
    if not url:
        return None
    engine = create_engine(url, **engine_options(url, settings.web_threads + EXTRA_CONNECTIONS))
    configure_engine(engine)
    return Replica(primary, engine)


def flask_config(settings: Settings) -> dict[str, object]:
    """Return the settings under the names that Flask and its extensions use."""
    return {
        'SECRET_KEY': settings.secret_key,
        'SECRET_KEY_FALLBACKS': list(settings.secret_key_fallbacks),
        'DEBUG': settings.debug,
        'MAX_CONTENT_LENGTH': settings.max_body_bytes,
        'TRUSTED_HOSTS': list(settings.trusted_hosts) or None,
        'SQLALCHEMY_DATABASE_URI': settings.database_url,
        'SQLALCHEMY_ENGINE_OPTIONS': engine_options(settings.database_url, settings.web_threads + EXTRA_CONNECTIONS),
        'PUBLIC_URL': settings.public_url,
        'SECURITY_CONTACT': settings.security_contact,
        'REQUIRE_VERIFIED_EMAIL': settings.require_verified_email,
        'APIFAIRY_TITLE': 'Microblog API',
        'APIFAIRY_VERSION': '0.1.0',
        'APIFAIRY_APISPEC_VERSION': '3.1.0',
        # api/routes/changelog.py and docs.py serve the document and its page.
        'APIFAIRY_APISPEC_PATH': None,
        'APIFAIRY_UI_PATH': None,
    }
