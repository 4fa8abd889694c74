"""The whole module over real sockets, with and without TLS, against a peer of the test's own."""

from __future__ import annotations

import datetime as dt
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from quecbind.wire import commands, frame, lan, mqtt
from quecIot._device import Device
from tests.quecIot.bench import CODE, DK, NEW_DS, PK, PS, fields_of
from tests.quecIot.center_socket import CenterSocket
from tests.quecIot.test_lan import free_udp_port, read_frame

pytestmark = pytest.mark.enable_socket


class Script:
    """A device with a callback, as a script makes it."""

    def __init__(self, home: Path, server: str, **environment: str) -> None:
        values = {"QUECIOT_HOME": str(home), "QUECIOT_DK": DK, "QUECIOT_LAN": "off", **environment}
        self.events: queue.Queue[tuple[Any, ...]] = queue.Queue()
        self.device = Device(lambda name: values.get(name, ""))
        assert self.device.init()
        assert self.device.set_event_cb(self.events.put)
        assert self.device.set_productinfo(PK, PS)
        assert self.device.set_server(1, server)

    def connect(self) -> None:
        assert self.device.set_connmode(1)
        self.expect(3, 10200)

    def expect(self, *event: Any) -> tuple[Any, ...]:
        """Waits for an event that begins so; others before it are skipped."""
        while True:
            seen = self.events.get(timeout=20)
            if seen[: len(event)] == event:
                return seen


@pytest.fixture
def center() -> Iterator[CenterSocket]:
    center = CenterSocket()
    yield center
    center.close()


@pytest.fixture
def script(center: CenterSocket, tmp_path: Path) -> Iterator[Script]:
    script = Script(tmp_path, f"127.0.0.1:{center.port}")
    yield script
    script.device.close()


def test_a_device_enrols_reports_its_code_and_is_reset(center: CenterSocket, script: Script) -> None:
    device = script.device
    script.connect()
    assert device.get_work_state() == 8
    assert device.bindcode_set(CODE, 120)

    report = fields_of(center.expect_frame(commands.BIND_CODE))
    assert (report[11], report[100]) == (CODE.encode(), 120)
    center.packets = queue.Queue()
    assert device.rst()
    assert device.bindcode_get() is None

    packet = center.expect(mqtt.Connect)
    assert (packet.user_name or b"").startswith(b"rst;")
    script.expect(1, 10200)
    script.expect(3, 10200)


def test_the_secret_is_on_disk_and_signs_the_next_log_in(center: CenterSocket, script: Script) -> None:
    script.connect()
    center.hang_up()
    script.expect(2, 10474)

    script.expect(3, 10200)

    kinds = []
    while not center.packets.empty():
        packet = center.packets.get()
        if isinstance(packet, mqtt.Connect):
            kinds.append((packet.password or b"")[:2])
    assert kinds == [b"0;", b"1;"]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_data_of_any_qos_arrives_and_is_confirmed(center: CenterSocket, script: Script, qos: int) -> None:
    script.connect()
    data = bytes(range(256)) * 64

    number = script.device.pass_trans_send("passTransSend_ex", qos, data)

    assert script.expect(4, 10200) == (4, 10200, number)
    assert center.expect_frame(commands.TRANSPARENT_UP) == (number, commands.TRANSPARENT_UP, data)


def test_leaving_closes_the_connection(center: CenterSocket, script: Script) -> None:
    script.connect()

    assert script.device.set_connmode(0)

    script.expect(6, 10200)
    assert script.device.get_work_state() == 11
    script.connect()


def test_nobody_there_is_an_event_and_no_call_waits(tmp_path: Path) -> None:
    script = Script(tmp_path, "127.0.0.1:1")
    before = time.monotonic()

    assert script.device.set_connmode(1)
    assert script.device.bindcode_set(CODE, 60)
    assert script.device.set_connmode(0)
    assert script.device.set_connmode(1)

    assert time.monotonic() - before < 5
    script.expect(1, 10450)
    script.device.close()


def test_calls_from_many_threads_at_once_lose_nothing(center: CenterSocket, script: Script) -> None:
    script.connect()
    numbers: queue.Queue[int] = queue.Queue()

    def work() -> None:
        for _ in range(15):  # all of them fit the outbox
            numbers.put(script.device.pass_trans_send("passTransSend_ex", 0, b"x"))
            script.device.bindcode_set(None, 60)
            script.device.bindcode_get()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    sent = sorted(numbers.queue)
    assert len(set(sent)) == 60
    for _ in range(60):
        script.expect(4, 10200)


def test_a_bind_code_leaves_within_a_blink(center: CenterSocket, script: Script) -> None:
    """Not a measurement: it catches a module that waits for a timer instead of being woken."""
    script.connect()
    center.expect_frame(commands.INFO_REPORT)

    before = time.monotonic()
    script.device.bindcode_set(CODE, 60)
    center.expect_frame(commands.BIND_CODE)

    assert time.monotonic() - before < 1


def test_a_taken_lan_port_turns_the_lan_off_and_nothing_else(
    center: CenterSocket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {"QUECIOT_LAN": "", "QUECIOT_LAN_HOST": "127.0.0.1", "QUECIOT_LAN_TCP_PORT": str(center.port)}

    script = Script(tmp_path, f"127.0.0.1:{center.port}", **environment)

    script.connect()
    assert "LAN discovery and pairing are off" in caplog.text
    script.device.close()


def test_the_lan_tells_the_code_of_this_very_moment(center: CenterSocket, tmp_path: Path) -> None:
    port = free_udp_port()
    environment = {"QUECIOT_LAN": "", "QUECIOT_LAN_HOST": "127.0.0.1", "QUECIOT_LAN_TCP_PORT": "0"}
    script = Script(tmp_path, f"127.0.0.1:{center.port}", QUECIOT_LAN_UDP_PORT=str(port), **environment)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as app:
        app.settimeout(20)
        app.sendto(frame.encode(1000, commands.DISCOVER), ("127.0.0.1", port))
        found = lan.parse_discover_answer(frame.decode(app.recv(1024)).payload)
    codes = []
    with socket.create_connection(("127.0.0.1", found.port), timeout=20) as app:
        for seconds in (None, 60, 0):
            if seconds is not None:
                script.device.bindcode_set(CODE, seconds)
            app.sendall(frame.encode(1, commands.PROVISION))
            codes.append(lan.parse_provision_answer(read_frame(app).payload).bind_code)

    assert codes == [None, CODE, None]
    script.device.close()


# --- TLS ---


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "center.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def tls_center(certificate: Path) -> Iterator[CenterSocket]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    center = CenterSocket(context)
    yield center
    center.close()


@pytest.fixture
def tls_script(tls_center: CenterSocket, tmp_path: Path) -> Iterator[Callable[..., Script]]:
    made: list[Script] = []

    def make(**environment: str) -> Script:
        made.append(Script(tmp_path, f"mqtts://127.0.0.1:{tls_center.port}", **environment))
        return made[-1]

    yield make
    for script in made:
        script.device.close()


def test_tls_with_a_ca_file(tls_center: CenterSocket, tls_script: Callable[..., Script], certificate: Path) -> None:
    script = tls_script(QUECIOT_CA_FILE=str(certificate))

    script.connect()
    number = script.device.pass_trans_send("passTransSend_ex", 1, bytes(50000))

    assert script.expect(4) == (4, 10200, number)


def test_tls_with_a_certificate_nobody_vouches_for_is_refused(
    tls_center: CenterSocket, tls_script: Callable[..., Script]
) -> None:
    script = tls_script()

    script.device.set_connmode(1)

    script.expect(1, 10450)
    assert tls_center.packets.empty()  # not a byte of a password has left


def test_tls_for_another_name_is_refused(
    tls_center: CenterSocket, tls_script: Callable[..., Script], certificate: Path
) -> None:
    script = tls_script(QUECIOT_CA_FILE=str(certificate))
    script.device.set_server(1, f"mqtts://localhost:{tls_center.port}")

    script.device.set_connmode(1)

    script.expect(1, 10450)
    assert tls_center.packets.empty()


def test_tls_without_verification_only_when_told_so(
    tls_script: Callable[..., Script], caplog: pytest.LogCaptureFixture
) -> None:
    script = tls_script(QUECIOT_TLS_INSECURE="1")

    script.connect()

    assert "the server's certificate is not verified" in caplog.text


def test_a_missing_ca_file_is_a_failed_connection_not_an_unverified_one(
    tls_center: CenterSocket, tls_script: Callable[..., Script]
) -> None:
    script = tls_script(QUECIOT_CA_FILE="/no/such/file.pem")

    script.device.set_connmode(1)

    script.expect(1, 10450)
    assert tls_center.packets.empty()


def test_the_stored_secret_is_the_centers(center: CenterSocket, script: Script, tmp_path: Path) -> None:
    script.connect()

    assert NEW_DS in (tmp_path / f"{DK}.json").read_text()
