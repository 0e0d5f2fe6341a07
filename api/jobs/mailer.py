"""Mail over SMTP, or to the console if no SMTP server is configured."""

import smtplib
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import Any

SMTP_TIMEOUT = 10  # seconds


class Mailer:
    """A mail client with one connection, which stays open until it is closed or fails. Certificates are verified.

    Sending raises smtplib.SMTPException or OSError.
    """

    def __init__(self) -> None:
        self._connection: smtplib.SMTP | None = None

    def configure(self, *, server: str, port: int, security: str, username: str, password: str, sender: str) -> None:
        """Set the SMTP server, the credentials and the sender.

        server: empty for the console. security: `starttls`, `tls` (from the first byte) or `none`.
        """
        self.server, self.port, self.security = server, port, security
        self.username, self.password = username, password
        self.sender = sender

    def send(self, recipient: str, subject: str, text: str, html: str) -> None:
        if not self.server:
            print(f'To: {recipient}\nSubject: {subject}\n\n{text}', flush=True)
            return
        try:
            message = self.compose(recipient, subject, text, html)
            # Explicit recipient: parsing the `To` header could give another address.
            self._get_connection().send_message(message, self.sender, [recipient])
        except Exception:
            self._discard_connection()
            raise

    def compose(self, recipient: str, subject: str, text: str, html: str) -> EmailMessage:
        message = EmailMessage(SMTP.clone(cte_type='7bit'))
        message['From'], message['To'], message['Subject'] = self.sender, recipient, subject
        message['Date'], message['Message-ID'] = formatdate(), make_msgid(domain=self.sender.rpartition('@')[2])
        message['Auto-Submitted'] = 'auto-generated'
        message.set_content(text)
        message.add_alternative(html, subtype='html')
        return message

    def close(self) -> None:
        """Close the connection to the server, if there is one."""
        if self._connection:
            with suppress(OSError, smtplib.SMTPException):
                self._connection.quit()
            self._discard_connection()

    def _get_connection(self) -> smtplib.SMTP:
        if self._connection is None or not is_alive(self._connection):
            self._discard_connection()
            self._connection = self._connect()
        return self._connection

    def _discard_connection(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _connect(self) -> smtplib.SMTP:
        tls_context = ssl.create_default_context()
        address: Any = {'host': self.server, 'port': self.port, 'timeout': SMTP_TIMEOUT}
        connection = (
            smtplib.SMTP_SSL(**address, context=tls_context) if self.security == 'tls' else smtplib.SMTP(**address)
        )
        try:
            if self.security == 'starttls':
                connection.starttls(context=tls_context)
            if self.username:
                connection.login(self.username, self.password)
        except Exception:
            connection.close()
            raise
        return connection


def is_alive(connection: smtplib.SMTP) -> bool:
    """Return whether the connection is still open."""
    try:
        return connection.noop()[0] == 250
    except (OSError, smtplib.SMTPException):
        return False


mailer = Mailer()
