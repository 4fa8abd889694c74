"""Codes reach a mail server, or the log and nothing else."""

import asyncio
import email
import email.policy
import logging
import ssl
from typing import Literal

import pytest

from quecbind.center.domain.ids import Secret
from quecbind.center.mail.log import LogMailer
from quecbind.center.mail.smtp import SmtpMailer, SmtpSettings
from quecbind.center.services.ports import MailError
from tests.center.certificate import write_certificate


class MailServer:
    """As much of RFC 5321 as one mail needs, over TLS when it has a context, from the first byte or by STARTTLS."""

    def __init__(
        self,
        answer_to_data: bytes = b"250 taken\r\n",
        tls: ssl.SSLContext | None = None,
        encryption: Literal["starttls", "tls", "none"] = "none",
    ) -> None:
        self.mails: list[bytes] = []
        self.tls = tls
        self.encryption = encryption
        self._answer = answer_to_data

    async def serve(self, reader, writer) -> None:
        writer.write(b"220 test\r\n")
        while line := await reader.readline():
            word = line.split()[0].upper()
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(self._answer)
            elif word == b"EHLO" and self.encryption == "starttls":
                writer.write(b"250-test\r\n250 STARTTLS\r\n")
            elif word == b"STARTTLS":
                writer.write(b"220 go on\r\n")
                await writer.start_tls(self.tls)
            elif word == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 fine\r\n")
            await writer.drain()
        writer.close()


async def send(server: MailServer) -> None:
    tls = server.tls if server.encryption == "tls" else None
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    settings = SmtpSettings(host="127.0.0.1", port=port, sender="center@example.com", encryption=server.encryption)
    try:
        await SmtpMailer(settings).send_code("ann@example.com", Secret("424242"), 1)
    finally:
        listening.close()
        await listening.wait_closed()


@pytest.mark.enable_socket
async def test_mail_server_gets_one_mail_with_the_code() -> None:
    server = MailServer()

    await send(server)

    mail = email.message_from_bytes(server.mails[0], policy=email.policy.default)
    assert (mail["From"], mail["To"], mail["Subject"]) == (
        "center@example.com",
        "ann@example.com",
        "Your code to register",
    )
    assert "Your code is 424242." in mail.get_content()


@pytest.mark.enable_socket
@pytest.mark.parametrize("encryption", ["tls", "starttls"])
async def test_an_encrypted_mail_goes_to_a_server_that_is_trusted_and_to_no_other(
    tmp_path, monkeypatch, encryption
) -> None:
    certificate, key = write_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = MailServer(tls=context, encryption=encryption)

    with pytest.raises(MailError):
        await send(server)
    assert server.mails == []

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    await send(server)
    assert b"Your code is 424242." in server.mails[0]


@pytest.mark.enable_socket
async def test_mail_that_is_refused_says_nothing_of_the_code() -> None:
    with pytest.raises(MailError) as raised:
        await send(MailServer(b"550 no: 424242\r\n"))

    assert "424242" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.enable_socket
async def test_mail_server_that_is_not_there_is_a_mail_error() -> None:
    settings = SmtpSettings(host="127.0.0.1", port=1, sender="center@example.com", encryption="none")

    with pytest.raises(MailError, match=r"127\.0\.0\.1:1 failed"):
        await SmtpMailer(settings).send_code("ann@example.com", Secret("424242"), 1)


async def test_log_shows_the_code_and_says_why(caplog) -> None:
    with caplog.at_level(logging.WARNING):
        await LogMailer().send_code("ann@example.com", Secret("424242"), 1)

    assert "mail.code_not_mailed to=ann@example.com type=1 code=424242 (no mail server is set up" in caplog.text


def test_settings_do_not_show_the_password() -> None:
    assert "hunter2" not in repr(SmtpSettings(host="h", port=25, sender="s", user="u", password="hunter2"))
