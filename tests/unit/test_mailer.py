"""Mails through a real SMTP server, with and without TLS."""

import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from api.jobs.mailer import Mailer
from support.servers import free_port
from tests.support.smtp import DROP, HANG, Certificates, MailServer, make_certificates
from tests.support.sockets import Tracer

SETTINGS = {'server': '127.0.0.1', 'security': 'none', 'username': '', 'password': '', 'sender': 'blog@example.com'}
LOGIN = ('susan', 'unlikely7secret')
WITH_LOGIN = {'username': LOGIN[0], 'password': LOGIN[1]}
HELLO = ('ana@example.com', 'Hello', 'Hello, Ana!\n', '<p>Hello, Ana!</p>\n')
MODES = [('starttls', False), ('tls', True)]


@pytest.fixture
def make_mailer() -> Iterator[Callable[..., Mailer]]:
    mailers = []

    def make(server: MailServer, **others: Any) -> Mailer:
        mailer = Mailer()
        mailer.configure(**SETTINGS | {'port': server.port} | others)
        mailers.append(mailer)
        return mailer

    yield make
    for mailer in mailers:
        mailer.close()


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def mailer(server: MailServer, make_mailer: Any) -> Mailer:
    return make_mailer(server)


@pytest.fixture(scope='module')
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp('certificates'))


@pytest.fixture
def trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('SSL_CERT_FILE', str(certificates.authority))


def test_mail_has_its_headers_and_parts(server: MailServer, mailer: Mailer) -> None:
    mailer.send(*HELLO)
    (mail,) = server.mails
    assert (mail.sender, mail.recipients) == ('blog@example.com', ['ana@example.com'])
    headers = mail.message
    assert (headers['From'], headers['To'], headers['Subject']) == ('blog@example.com', 'ana@example.com', 'Hello')
    assert re.fullmatch(r'<[^<>@\s]+@example\.com>', headers['Message-ID'])
    assert headers['Auto-Submitted'] == 'auto-generated'
    assert abs(datetime.now(UTC) - parsedate_to_datetime(headers['Date']).astimezone(UTC)) < timedelta(seconds=30)
    assert headers.get_content_type() == 'multipart/alternative'
    assert [part.get_content_type() for part in headers.iter_parts()] == ['text/plain', 'text/html']
    assert (mail.part('plain'), mail.part('html')) == HELLO[2:]


def test_each_mail_has_its_own_id(server: MailServer, mailer: Mailer) -> None:
    mailer.send(*HELLO)
    mailer.send(*HELLO)
    assert len({mail.message['Message-ID'] for mail in server.mails}) == 2


def test_non_ascii_text_arrives_unchanged(server: MailServer, mailer: Mailer) -> None:
    subject, text, html = 'Grüße, 你好 🎉', 'Žluťoučký kůň\n.\n..\n' + '长' * 2_000 + '\n', '<p>Ελλάδα 🎉</p>\n'
    mailer.send('ana@example.com', subject, text, html)
    (mail,) = server.mails
    assert (mail.message['Subject'], mail.part('plain'), mail.part('html')) == (subject, text, html)
    assert bytes(server.heard).isascii()


@pytest.mark.parametrize('local', ['a' * 108, "!#$%&'*+/=^_`{|}~-", '1.2.3', 'a+b=c', "o'hara", 'bcc--x'])
def test_unusual_address_is_not_changed(server: MailServer, mailer: Mailer, local: str) -> None:
    address = f'{local}@example.com'
    mailer.send(address, *HELLO[1:])
    (mail,) = server.mails
    assert (mail.recipients, mail.message['To']) == ([address], address)


@pytest.mark.parametrize('address', ['=?utf-8?q?susan?=@example.com', '=?utf-8?q?a=40evil.example=2Cb?=@example.com'])
def test_encoded_looking_address_is_not_decoded(server: MailServer, mailer: Mailer, address: str) -> None:
    """The decoded address belongs to another person. To send no mail is correct, too."""
    with suppress(ValueError):
        mailer.send(address, *HELLO[1:])
    assert server.recipients in ([], [address])


@pytest.mark.parametrize('end', ['\r\n', '\n', '\r', '\r\n\r\n'])
@pytest.mark.parametrize('place', [0, 1])
def test_headers_cannot_be_injected(server: MailServer, mailer: Mailer, place: int, end: str) -> None:
    mail = list(HELLO)
    mail[place] += f'{end}Bcc: mallory@example.com'
    with pytest.raises(ValueError):
        mailer.send(*mail)
    assert server.mails == []
    assert b'mallory' not in server.heard


def test_connection_is_kept_until_closed(server: MailServer, mailer: Mailer) -> None:
    for _ in range(3):
        mailer.send(*HELLO)
    assert (len(server.mails), server.connections) == (3, 1)
    mailer.close()
    assert server.heard.endswith(b'quit\r\n')
    mailer.send(*HELLO)
    assert (len(server.mails), server.connections) == (4, 2)


@pytest.mark.parametrize(
    ('command', 'response'), [('MAIL', '451 x'), ('RCPT', '550 x'), ('DATA', '452 x'), ('DATA', DROP)]
)
def test_failure_opens_a_new_connection(server: MailServer, mailer: Mailer, command: str, response: str) -> None:
    mailer.send(*HELLO)
    server.answers = {command: response}
    with pytest.raises(smtplib.SMTPException):
        mailer.send(*HELLO)
    server.answers = {}
    mailer.send(*HELLO)
    assert (len(server.mails), server.connections) == (2, 2)


@pytest.mark.parametrize('command', ['CONNECT', 'MAIL', 'RCPT', 'DATA'])
def test_silent_server_times_out(
    server: MailServer, mailer: Mailer, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr('api.jobs.mailer.SMTP_TIMEOUT', 0.2)
    server.answers = {command: HANG}
    with Tracer(monkeypatch).trace() as trace, pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
        mailer.send(*HELLO)
    assert trace.waits == [0.2]


def test_stopped_server_is_an_error_until_it_is_back(server: MailServer, mailer: Mailer) -> None:
    mailer.send(*HELLO)
    server.stop()
    with pytest.raises((OSError, smtplib.SMTPException)):
        mailer.send(*HELLO)
    with pytest.raises(ConnectionRefusedError):
        mailer.send(*HELLO)
    server.start()
    mailer.send(*HELLO)
    assert len(server.mails) == 2


@pytest.mark.parametrize(('security', 'tls_at_once'), MODES)
def test_trusted_certificate(
    certificates: Certificates, trusted: None, make_mailer: Any, security: str, tls_at_once: bool
) -> None:
    with MailServer(certificates.here, tls_at_once=tls_at_once, login=LOGIN) as server:
        make_mailer(server, security=security, **WITH_LOGIN).send(*HELLO)
    (mail,) = server.mails
    assert (mail.recipients, mail.login) == (['ana@example.com'], 'susan')


def assert_nothing_is_sent(server: MailServer, error: type[Exception], mailer: Mailer) -> None:
    with pytest.raises(error):
        mailer.send(*HELLO)
    assert server.mails == []
    assert not re.search(b'auth|mail|rcpt|data|ana@', server.heard, re.IGNORECASE)


@pytest.mark.parametrize(('security', 'tls_at_once'), MODES)
def test_untrusted_certificate(certificates: Certificates, make_mailer: Any, security: str, tls_at_once: bool) -> None:
    with MailServer(certificates.here, tls_at_once=tls_at_once, login=LOGIN) as server:
        mailer = make_mailer(server, security=security, **WITH_LOGIN)
        assert_nothing_is_sent(server, ssl.SSLCertVerificationError, mailer)


@pytest.mark.parametrize(('security', 'tls_at_once'), MODES)
def test_certificate_of_another_server(
    certificates: Certificates, trusted: None, make_mailer: Any, security: str, tls_at_once: bool
) -> None:
    with MailServer(certificates.elsewhere, tls_at_once=tls_at_once, login=LOGIN) as server:
        mailer = make_mailer(server, security=security, **WITH_LOGIN)
        assert_nothing_is_sent(server, ssl.SSLCertVerificationError, mailer)


@pytest.mark.parametrize(
    ('security', 'error'), [('starttls', smtplib.SMTPNotSupportedError), ('tls', (OSError, ssl.SSLError))]
)
def test_nothing_is_sent_without_tls(server: MailServer, make_mailer: Any, security: str, error: Any) -> None:
    assert_nothing_is_sent(server, error, make_mailer(server, security=security, **WITH_LOGIN))


def test_rejected_login(certificates: Certificates, trusted: None, make_mailer: Any) -> None:
    with MailServer(certificates.here, login=LOGIN) as server:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            make_mailer(server, security='starttls', username='susan', password='wrong').send(*HELLO)
        assert server.mails == []


def test_non_ascii_password(certificates: Certificates, trusted: None, make_mailer: Any) -> None:
    """The log-in succeeds or raises UnicodeError; in neither case does the connection stay open."""
    with MailServer(certificates.here, login=('susan', 'unwahrscheinlich7ß')) as server:
        mailer = make_mailer(server, security='starttls', username='susan', password='unwahrscheinlich7ß')
        with suppress(UnicodeError):
            mailer.send(*HELLO)


def test_without_server_mail_goes_to_the_console(capsys: pytest.CaptureFixture[str], make_mailer: Any) -> None:
    mailer = Mailer()
    mailer.configure(**SETTINGS | {'server': '', 'port': free_port()})
    mailer.send(*HELLO)
    mailer.close()
    assert capsys.readouterr().out == 'To: ana@example.com\nSubject: Hello\n\nHello, Ana!\n\n'
