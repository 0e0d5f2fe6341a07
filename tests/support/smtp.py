"""An SMTP server in a thread, whose responses a test chooses, and certificates for it."""

import asyncio
import inspect
import re
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple, Self

from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from api.jobs.mailer import mailer
from support.servers import free_port

ACCEPT, HANG, DROP = MISSING, 'no response', 'no connection'
SmtpReply = Any | Callable[[], Any]


class Mail(NamedTuple):
    sender: str
    recipients: list[str]
    content: bytes
    login: str | None
    client: Any

    @property
    def message(self) -> EmailMessage:
        message: Any = message_from_bytes(self.content, policy=policy.default)
        return message

    def part(self, subtype: str) -> str:
        body = self.message.get_body((subtype,))
        assert body is not None
        content: str = body.get_content()
        return content.replace('\r\n', '\n')

    @property
    def link(self) -> str:
        """Return the only URL in the plain text."""
        (link,) = [word for word in self.part('plain').split() if word.startswith('http')]
        return link


class Listener:
    """A server in a thread that listens on `port`, from `with` until it is stopped."""

    def __init__(self) -> None:
        self.port = free_port()
        self.open: set[Any] = set()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        # Tests break connections on purpose: do not log the errors.
        self._loop.set_exception_handler(lambda loop, context: None)
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self) -> None:
        self._do(self._start())

    def stop(self) -> None:
        """Refuse new connections and abort the open ones, until it is started again."""
        self._do(self._stop())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)

    async def _start(self) -> None:
        self._server = await self._listen()

    async def _stop(self) -> None:
        self._server.close()
        for transport in self.open:
            transport.abort()
        conversations = asyncio.all_tasks() - {asyncio.current_task()}
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)

    async def _listen(self) -> asyncio.Server:
        raise NotImplementedError


class Proxy(Listener):
    """Forwards bytes between its clients and another port."""

    def __init__(self, target: int) -> None:
        super().__init__()
        self.target = target

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._pass_on, '127.0.0.1', self.port)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection('127.0.0.1', self.target)
        self.open |= {writer.transport, to_writer.transport}
        await asyncio.gather(forward(reader, to_writer), forward(to_reader, writer))


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


class MailServer(Listener):
    """Listen on `server.port` and collect `server.mails`: `with MailServer() as server:`.

    answers: response to CONNECT, MAIL, RCPT or DATA: ACCEPT (the default), HANG, DROP, a line such as '450 later', or a
    function that returns one of them, directly or as an awaitable.
    context: TLS certificate for STARTTLS, or for implicit TLS with `tls_at_once`.
    login: the required name and password.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        *,
        tls_at_once: bool = False,
        login: tuple[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.context, self.tls_at_once, self.login = context, tls_at_once, login
        self.answers: dict[str, SmtpReply] = {}
        self.mails: list[Mail] = []
        self.heard = bytearray()  # everything that clients sent, decrypted
        self.connections = 0

    @property
    def recipients(self) -> list[str]:
        return [recipient for mail in self.mails for recipient in mail.recipients]

    async def _listen(self) -> asyncio.Server:
        context = self.context if self.tls_at_once else None
        return await self._loop.create_server(lambda: Conversation(self), '127.0.0.1', self.port, ssl=context)

    async def pause(self, seconds: float = 0.01) -> None:
        """Wait, for responses that take time."""
        await asyncio.sleep(seconds)

    async def respond(self, command: str, conversation: SMTP) -> Any:
        response = self.answers.get(command, ACCEPT)
        if callable(response):
            response = response()
        if inspect.isawaitable(response):
            response = await response
        if response == DROP:
            conversation.transport.abort()
        if response in (DROP, HANG):
            await asyncio.Event().wait()
        return response

    def authenticate(self, smtp: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self.login, handled=False, auth_data=given[0])

    async def handle_MAIL(self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> Any:  # noqa: N802
        if self.login and not session.authenticated:
            return '530 5.7.0 Authentication required'
        response = await self.respond('MAIL', smtp)
        if response is ACCEPT:
            envelope.mail_from = address
            return '250 OK'
        return response

    async def handle_RCPT(self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> Any:  # noqa: N802
        response = await self.respond('RCPT', smtp)
        if response is ACCEPT:
            envelope.rcpt_tos.append(address)
            return '250 OK'
        return response

    async def handle_DATA(self, smtp: SMTP, session: Session, envelope: Envelope) -> Any:  # noqa: N802
        response = await self.respond('DATA', smtp)
        if response is ACCEPT:
            login = session.auth_data if session.authenticated else None
            self.mails.append(Mail(envelope.mail_from, envelope.rcpt_tos, envelope.content, login, session.peer))
            return '250 OK'
        return response


class Conversation(SMTP):
    """An SMTP connection."""

    def __init__(self, server: MailServer) -> None:
        self.mail_server = server
        starttls = server.context if not server.tls_at_once else None
        super().__init__(
            server,
            hostname='mail.example.com',
            tls_context=starttls,
            authenticator=server.authenticate,
            auth_require_tls=starttls is not None,
        )

    def connection_made(self, transport: Any) -> None:
        self.mail_server.open.add(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.mail_server.open.discard(self.transport)
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        self.mail_server.heard += data
        super().data_received(data)

    async def _handle_client(self) -> None:
        self.mail_server.connections += 1
        response = await self.mail_server.respond('CONNECT', self)
        if response is ACCEPT:
            await super()._handle_client()
        else:
            await self.push(response)
            self.transport.close()

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """Return the address as it was sent, because aiosmtpd decodes addresses that look encoded."""
        match = re.fullmatch('<([^<>]*)>(.*)', arg.strip())
        return (match[1], match[2]) if match else (None, None)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if self.mail_server.answers.get('DATA') == DROP:
            await self.push('354 go on')
            await self._reader.readuntil(b'\r\n')
            await self.mail_server.respond('DATA', self)
        await super().smtp_DATA(arg)


@contextmanager
def mail_delivered_to(server: MailServer) -> Iterator[None]:
    """Send the mail of this process to `server` during the block."""
    settings = {
        name: getattr(mailer, name) for name in ('server', 'port', 'security', 'username', 'password', 'sender')
    }
    mailer.configure(**settings | {'server': '127.0.0.1', 'port': server.port, 'security': 'none'})
    try:
        yield
    finally:
        mailer.close()
        mailer.configure(**settings)


class Certificates(NamedTuple):
    """A certificate authority and server certificates.

    authority: file of the certificate that a client must trust.
    here: server context for 127.0.0.1.
    elsewhere: server context for another host name.
    """

    authority: Path
    here: ssl.SSLContext
    elsewhere: ssl.SSLContext


def make_certificates(folder: Path) -> Certificates:
    authority = Certificate('authority')
    trusted = folder / 'authority.pem'
    trusted.write_bytes(authority.pem())
    contexts = []
    for name in (x509.IPAddress(ip_address('127.0.0.1')), x509.DNSName('elsewhere.example.com')):
        server = Certificate(str(name.value), authority, x509.SubjectAlternativeName([name]))
        pem = folder / f'{name.value}.pem'
        pem.write_bytes(server.pem() + server.private_key_pem())
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem)
        contexts.append(context)
    return Certificates(trusted, *contexts)


class Certificate:
    """An X.509 certificate with its private key. Without an authority it is a self-signed authority."""

    def __init__(self, name: str, authority: 'Certificate | None' = None, *extensions: x509.ExtensionType):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        signer, now = authority or self, datetime.now(UTC)
        builder = x509.CertificateBuilder(
            issuer_name=signer.subject,
            subject_name=self.subject,
            public_key=self.key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(days=1),
            not_valid_after=now + timedelta(days=1),
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        self.signed = builder.sign(signer.key, hashes.SHA256())

    def pem(self) -> bytes:
        return self.signed.public_bytes(Encoding.PEM)

    def private_key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
