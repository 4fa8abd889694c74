"""TLS for the listeners: one context whose certificate can be exchanged while connections stand.

The listener keeps one context for its life. Each handshake is answered with the context that is present then:
connections that stand are not touched, and a new certificate is taken as a whole or not at all.
"""

import dataclasses
import ssl
from pathlib import Path

from cryptography import x509

from quecbind.center.services.errors import StartError

# Forward secrecy and authenticated encryption, which every module with TLS 1.2 of the last ten years has.
TLS_1_2_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AESCCM"


@dataclasses.dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where a listener's certificate is.

    Attributes:
        certificate: PEM, the chain, own certificate first.
        key: PEM, not encrypted.
        client_ca: PEM with the authorities whose client certificates count; None asks for none.
        is_client_required: whether a client without one is refused.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None
    is_client_required: bool = False


class Tls:
    """What a listener serves with.

    Attributes:
        context: for the listener; stays the same object.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Raises StartError when the files cannot be used."""
        self._files = files
        self._present = tls_context(files)
        self.context = tls_context(files)
        self.context.sni_callback = self._choose

    @property
    def certificate(self) -> tuple[Path, str]:
        """The file of the certificate, and when what is in it is over (UTC); "unknown" when it is gone by now."""
        try:
            over = x509.load_pem_x509_certificate(self._files.certificate.read_bytes()).not_valid_after_utc
        except (OSError, ValueError):
            return self._files.certificate, "unknown"
        return self._files.certificate, over.isoformat()

    def reload(self) -> None:
        """Read the files again; from now on new connections get what they hold.

        Raises:
            StartError: they cannot be used; nothing has changed.
        """
        self._present = tls_context(self._files)

    def _choose(self, handshake: ssl.SSLObject, _server_name: str | None, _context: ssl.SSLContext) -> None:
        # Called for every client, also for one that names no server.
        handshake.context = self._present


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """A server's context: TLS 1.2 or later, no compression, no renegotiation.

    Raises:
        StartError: a file cannot be read, is no PEM, is encrypted, or certificate and key do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(TLS_1_2_CIPHERS)
    for file in (files.certificate, files.key, files.client_ca):
        try:
            if file is not None:
                file.open("rb").close()
        except OSError as error:
            raise StartError(f"the TLS file {file} cannot be read: {error.strerror}") from None
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise StartError(
            f"{files.certificate} and {files.key} are no certificate and its key in PEM form ({error})"
        ) from None
    if files.client_ca is not None:
        try:
            context.load_verify_locations(cafile=files.client_ca)
        except ssl.SSLError as error:
            raise StartError(f"{files.client_ca} holds no certificates in PEM form ({error})") from None
        context.verify_mode = ssl.CERT_REQUIRED if files.is_client_required else ssl.CERT_OPTIONAL
        # A resumed session would bring a certificate back that an authority exchanged meanwhile no longer vouches for.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted: a server cannot type its password")
