"""The WSGI application, for servers and for the `flask` command."""

import sys

from api.app import create_app
from config import ConfigError

try:
    app = create_app()
except ConfigError as error:
    sys.exit(str(error))
