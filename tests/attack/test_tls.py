"""TLS: devices with certificates that are not theirs or nobody's, without one, and servers that pose as ours."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.attack.lamp import SCRIPT
from tests.attack.stranger import opened
from tests.center.certificate import Authority, write_authority, write_certificate
from tests.e2e.center_process import COMMAND, environment, run_command
from tests.e2e.test_tls import Server
from tests.e2e.wire_by_hand import RawDevice, enrolment_password, login_password
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

NOT_ALLOWED, WRONG_SIGNATURE, NO_HANDSHAKE = 10431, 5, "no handshake"
PING = b"\xc0\0"


@dataclass
class Place:
    """A server that asks devices for certificates, its authority, a product, and two devices in use."""

    server: Server
    authority: Authority
    directory: Path
    pk: str
    ps: str
    secrets: dict[str, str]

    def context(self, certificate: Path | None) -> ssl.SSLContext:
        context = self.server.trusted()
        if certificate is not None:
            context.load_cert_chain(certificate)
        return context

    def certificate_of(self, name: str, *dns_names: str, by: Authority | None = None) -> Path:
        """Its key is in it."""
        directory = self.directory / os.urandom(4).hex()
        directory.mkdir()
        return (by or self.authority).sign(directory, name, *dns_names)

    def client_id(self, dk: str) -> str:
        return f"qd{self.pk}{dk}"

    def connect(self, dk: str, certificate: Path | None, port: str = "mqtts") -> RawDevice:
        device = RawDevice(self.server.port(port), self.pk, dk)
        if port == "mqtts":
            try:
                device.socket = self.context(certificate).wrap_socket(device.socket, server_hostname="localhost")
            except BaseException:
                device.socket.close()
                raise
        return device

    def fate(self, dk: str, certificate: Path | None, password: bytes | None = None, port: str = "mqtts") -> object:
        """Of a log-in with the device's right secret: 0, a code, or "no handshake"."""
        password = password or login_password(self.ps, self.secrets[dk])
        try:
            with self.connect(dk, certificate, port) as device:
                code = device.connect(password)
                if code is None:
                    return NO_HANDSHAKE
                if code:
                    return code
                device.send(PING)
                while (got := device.receive()) is not None:
                    if got == (0xD0, b""):
                        return 0
                    if got[0] >> 4 == 3:
                        return told(got[1])
                return "closed"
        except (ssl.SSLError, ConnectionError):
            return NO_HANDSHAKE


def told(body: bytes) -> int:
    return int(opened(body)[2][1])


def start(directory: Path, mode: str) -> Iterator[Place]:
    authority = write_authority(directory)
    options = ("--http-port", "0", "--mqtt-port", "0", "--mqtts-port", "0", "--mqtts-client-cert", mode)
    server = Server(directory, *options, "--mqtts-client-ca", str(authority.file))
    try:
        made = json.loads(run_command("product", "create", "lamp", "--data", str(server.data), "--json").stdout)
        place = Place(server, authority, directory, made["product_key"], made["product_secret"], {})
        for dk in ("A", "B"):
            certificate = place.certificate_of(place.client_id(dk))
            with place.connect(dk, certificate) as device:
                place.secrets[dk] = device.enrol(place.ps)
            assert place.fate(dk, certificate) == 0
        yield place
    finally:
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from start(tmp_path_factory.mktemp("required"), "required")


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from start(tmp_path_factory.mktemp("optional"), "optional")


def test_a_copied_secret_without_its_certificate_logs_nobody_in(place: Place, row: Row) -> None:
    name = place.client_id("A")
    stranger, namesake = (write_authority(place.directory / "tls", each) for each in ("self-made", "authority"))
    with place.connect("A", place.certificate_of(name)) as live:
        assert live.connect(login_password(place.ps, place.secrets["A"])) == 0

        row("TLS, a device's secret, without a certificate", NO_HANDSHAKE, place.fate("A", None))
        row("... with another device's certificate", NOT_ALLOWED,
            place.fate("A", place.certificate_of(place.client_id("B"))))  # fmt: skip
        row("... with its name in a certificate of a self-made authority", NO_HANDSHAKE,
            place.fate("A", place.certificate_of(name, by=stranger)))  # fmt: skip
        row("... of a self-made authority of the same name", NO_HANDSHAKE,
            place.fate("A", place.certificate_of(name, by=namesake)))  # fmt: skip
        row("... with a certificate that signs itself", NO_HANDSHAKE, place.fate("A", signed(place, name, None)))
        row("... with one that is over", NO_HANDSHAKE, place.fate("A", signed(place, name, place.authority, days=-2)))
        row(
            "... with one that has not begun",
            NO_HANDSHAKE,
            place.fate("A", signed(place, name, place.authority, days=2)),
        )
        row("... on the plain port, which is open", NOT_ALLOWED, place.fate("A", None, port="mqtt"))
        live.send(PING)
        row("... and the session of the device itself", (0xD0, b""), live.receive())


def signed(place: Place, name: str, by: Authority | None, days: int = 0) -> Path:
    """A certificate that is good for a day, beginning `days` from now minus half a day; by itself if by nobody."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begins = dt.datetime.now(dt.UTC) + dt.timedelta(days=days) - dt.timedelta(hours=12)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + dt.timedelta(days=1))
        .sign(key if by is None else by.key, hashes.SHA256())
    )
    file = place.directory / f"{os.urandom(4).hex()}.pem"
    form = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return file


def test_a_certificate_is_good_for_the_name_it_bears_alone(place: Place, row: Row) -> None:
    name = place.client_id("A")
    names = {
        "in other letters": (name.swapcase(),),
        "a beginning of it": (name[:-1],),
        "a longer one": (name + "A",),
        "a wildcard": ("*",),
        "a wildcard for a DNS name": ("x", "*"),
        "a part and a wildcard": (f"qd{place.pk}*",),
        "with spaces around it": (f" {name} ",),
        "two in one": (f"{name},{place.client_id('B')}",),
        "the device key alone": ("A",),
    }
    for what, wrong in names.items():
        row(f"TLS, a certificate for another name than the client id: {what}", NOT_ALLOWED,
            place.fate("A", place.certificate_of(*wrong)))  # fmt: skip
    own = place.certificate_of(name)
    row("TLS, the right certificate and another device's secret", WRONG_SIGNATURE,
        place.fate("A", own, login_password(place.ps, place.secrets["B"])))  # fmt: skip
    row("... and an enrolment with the product secret", 10422,
        place.fate("A", own, enrolment_password(place.pk, place.ps, "A")))  # fmt: skip
    row("... and the right secret", 0, place.fate("A", own))


def test_the_product_secret_enrols_nobody_without_a_certificate(place: Place, row: Row) -> None:
    password = enrolment_password(place.pk, place.ps, "C")
    row("TLS, a new device enrolled without a certificate", NO_HANDSHAKE, place.fate("C", None, password))
    row("... with another device's", NOT_ALLOWED,
        place.fate("C", place.certificate_of(place.client_id("B")), password))  # fmt: skip
    row("... on the plain port", NOT_ALLOWED, place.fate("C", None, password, port="mqtt"))
    shown = run_command("device", "show", place.pk, "C", "--data", str(place.server.data), "--json")
    row("... is there such a device", 1, shown.returncode)
    with place.connect("C", place.certificate_of(place.client_id("C"))) as device:
        row("... with its own", 32, len(device.enrol(place.ps)))


def test_a_session_of_before_stands_for_no_certificate(place: Place, row: Row) -> None:
    context = place.context(place.certificate_of(place.client_id("A")))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with place.server.connect("mqtts", context) as first:
        session = first.session
    plain = socket.create_connection(("127.0.0.1", place.server.port("mqtts")), timeout=10)
    with context.wrap_socket(plain, server_hostname="localhost", session=session) as again:
        row("TLS 1.2, a session of before offered again: resumed", False, again.session_reused)


@pytest.mark.parametrize(
    "ciphers", ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "NULL", "ADH"]
)
def test_weak_ciphers_are_refused(place: Place, row: Row, ciphers: str) -> None:
    context = place.context(place.certificate_of(place.client_id("A")))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ciphers + ":@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)) as refused, place.server.connect("mqtts", context):
        pass
    row(f"TLS 1.2 with {ciphers} alone", True, isinstance(refused.value, (ssl.SSLError, ConnectionError)))


def test_where_a_certificate_is_optional_a_wrong_one_is_refused_all_the_same(lenient: Place, row: Row) -> None:
    name, other = lenient.client_id("A"), write_authority(lenient.directory / "tls", "self-made")
    row("TLS, certificates optional: none", 0, lenient.fate("A", None))
    row("... another device's", NOT_ALLOWED, lenient.fate("A", lenient.certificate_of(lenient.client_id("B"))))
    row("... of a self-made authority", NO_HANDSHAKE, lenient.fate("A", lenient.certificate_of(name, by=other)))
    row("... its own", 0, lenient.fate("A", lenient.certificate_of(name)))


@pytest.mark.parametrize("trusts", ["the system's authorities", "another server's certificate"])
def test_a_device_tells_a_server_that_poses_as_ours_nothing(tmp_path: Path, row: Row, trusts: str) -> None:
    """Our quecIot, with a server on the way that has a certificate of its own making."""
    posing, real = tmp_path / "posing", tmp_path / "real"
    for directory in (posing, real):
        directory.mkdir()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_certificate(posing))
    trusted = ["--ca-file", str(write_certificate(real)[0])] if trusts.startswith("another") else []
    heard, complaints = b"", 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        url = f"mqtts://127.0.0.1:{listener.getsockname()[1]}"
        device = subprocess.Popen(
            [*COMMAND, "device", "run", str(SCRIPT), "--dk", "A", "--home", str(tmp_path / "home"), "--no-lan",
             "--server", url, *trusted],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            env=environment(LAMP_DIR=str(tmp_path), LAMP_PK="p1115X", LAMP_PS="d2c5Q1FsVWpwT1k3",
                            LAMP_CODE="1234567890ABCDEF"),
        )  # fmt: skip
        try:
            while complaints < 2:
                plain, _ = listener.accept()
                plain.settimeout(10)
                with contextlib.ExitStack() as stack:
                    stack.callback(plain.close)
                    try:
                        line = stack.enter_context(context.wrap_socket(plain, server_side=True))
                        heard += line.recv(1000)
                    except (ssl.SSLError, ConnectionError):
                        pass
                complaints += 1
        finally:
            device.terminate()
            device.wait(20)
    row(f"TLS, a server posing as ours, the device trusts {trusts}: what it tells it, at two tries", b"", heard)
