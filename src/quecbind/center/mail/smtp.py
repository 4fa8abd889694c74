"""Sends codes through a mail server. Says nothing about the code in errors or logs."""

import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Literal

import aiosmtplib

from quecbind.center.domain.ids import Secret
from quecbind.center.services.ports import MailError

TIMEOUT_S = 20.0

_SUBJECT_BY_TYPE = {
    1: "Your code to register",
    2: "Your code to reset your password",
    3: "Your code to link this address",
    4: "Your code to unlink this address",
    5: "Your code to cancel your account",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    """How to reach the mail server. `encryption`: STARTTLS, TLS from the first byte, or none at all."""

    host: str
    port: int
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    encryption: Literal["starttls", "tls", "none"] = "starttls"


class SmtpMailer:
    """One connection for each mail: codes are rare."""

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings
        # Made once: reading the system's authorities would hold the event loop up with every mail.
        self._tls = None if settings.encryption == "none" else ssl.create_default_context()

    async def send_code(self, email: str, code: Secret, email_type: int) -> None:
        """See `services.ports.Mailer`."""
        settings = self._settings
        message = EmailMessage()
        message["From"] = settings.sender
        message["To"] = email
        message["Subject"] = _SUBJECT_BY_TYPE.get(email_type, "Your code")
        message.set_content(
            f"Your code is {code.reveal()}. It is good for ten minutes.\n\n"
            "If you did not ask for it, ignore this mail and tell nobody the code.\n"
        )
        try:
            await aiosmtplib.send(
                message,
                hostname=settings.host,
                port=settings.port,
                username=settings.user,
                password=settings.password,
                use_tls=settings.encryption == "tls",
                start_tls=settings.encryption == "starttls",
                tls_context=self._tls,
                timeout=TIMEOUT_S,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            # Whatever the server answered stays out: it may quote the mail.
            raise MailError(
                f"the mail server {settings.host}:{settings.port} failed ({type(error).__name__})"
            ) from None
