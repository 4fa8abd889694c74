"""Writes codes to the server's log, for a Developer Center without a mail server. Never use it with real users."""

import logging

from quecbind.center.domain.ids import Secret

logger = logging.getLogger("quecbind.center.mail")


class LogMailer:
    """The one place where a code is shown on purpose, and marked as such."""

    async def send_code(self, email: str, code: Secret, email_type: int) -> None:
        """See `services.ports.Mailer`."""
        logger.warning(
            "mail.code_not_mailed to=%s type=%d code=%s (no mail server is set up: the code is shown here instead)",
            email,
            email_type,
            code.reveal(),
        )
