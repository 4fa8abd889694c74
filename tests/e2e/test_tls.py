"""A real server over TLS: HTTPS and MQTTS, a new certificate on SIGHUP, no plain port at all, devices' certificates."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from quecbind.wire import mqtt
from tests.center.certificate import write_authority, write_certificate
from tests.e2e.center_process import COMMAND, environment, run_command
from tests.waiting import until

pytestmark = pytest.mark.enable_socket

NOBODY = mqtt.Connect("qdnobody", 120, True, None, b"1;0000;0123456789ABCDEF;x").encode()


class Server:
    """`quecbind serve` with TLS; what it said when it was ready is in `facts`."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.data, self.log = directory / "data", directory / "log"
        tls = directory / "tls"
        tls.mkdir()
        self.certificate, self.key = write_certificate(tls)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(*COMMAND, "serve", "--data", str(self.data)),
                    *("--tls-cert", str(self.certificate), "--tls-key", str(self.key), *options),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment(),
                stdin=subprocess.DEVNULL,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("quecbind ready "), self.log.read_text()
        self.facts = dict(word.split("=", 1) for word in line.split()[2:])

    def port(self, scheme: str) -> int:
        return int(self.facts[scheme].rpartition(":")[2])

    def trusted(self) -> ssl.SSLContext:
        """Trusts what is in the certificate's file now."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def connect(self, scheme: str, context: ssl.SSLContext) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port(scheme)), timeout=10)
        try:
            return context.wrap_socket(plain, server_hostname="localhost")
        except BaseException:
            plain.close()
            raise

    def https(self, context: ssl.SSLContext) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self.port("https"), timeout=10, context=context)

    def renew(self) -> None:
        other = self.certificate.parent / "other"
        other.mkdir(exist_ok=True)
        certificate, key = write_certificate(other)
        shutil.copy(certificate, self.certificate)
        shutil.copy(key, self.key)

    def hang_up(self, expected: str, count: int = 2) -> None:
        """SIGHUP, and wait until the log has said `count` times more that it was taken note of."""
        before = self.log.read_text().count(expected)
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.log.read_text().count(expected) == before + count)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait(5)
            assert self.process.stdout is not None
            self.process.stdout.close()


def said_to(server: Server, context: ssl.SSLContext) -> bytes:
    """What a device hears; in TLS 1.3 only its first read tells a client that its handshake was refused."""
    try:
        with server.connect("mqtts", context) as device:
            device.sendall(NOBODY)
            return device.recv(100)
    except (ssl.SSLError, ConnectionError):
        return b""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(
        tmp_path,
        *("--http-port", "none", "--mqtt-port", "none", "--https-port", "0", "--mqtts-port", "0"),
        *("--lan-host", "center.lan"),
    )
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()


def test_without_plain_ports_everything_is_reached_over_tls(server: Server) -> None:
    assert list(server.facts) == ["https", "mqtts", "lan", "data"]
    apps = server.https(server.trusted())
    apps.request("GET", "/healthz")
    assert json.load(apps.getresponse()) == {"status": "ok"}
    apps.close()
    with server.connect("mqtts", server.trusted()) as device:
        device.sendall(NOBODY)
        assert device.recv(4) == b"\x20\x02\x00\x05"

    made = run_command("product", "create", "lamp", "--data", str(server.data), "--json")
    assert made.returncode == 0, made.stderr

    described = json.loads((server.data / "serve.json").read_text())
    assert (described["https"], described["lan"]) == (server.facts["https"], "center.lan")
    assert "http" not in described
    operator = server.https(server.trusted())
    operator.request("GET", "/api/v1/server", headers={"Authorization": f"Bearer {described['local_key']}"})
    shown = json.load(operator.getresponse())
    operator.close()
    assert shown["addresses"] == {name: server.facts[name] for name in ("https", "mqtts", "lan")}
    assert shown["product_count"] == 1


def test_sighup_exchanges_the_certificate_of_both_listeners_and_cuts_nobody(server: Server) -> None:
    old = server.trusted()
    app = server.https(old)
    app.request("GET", "/healthz")
    app.getresponse().read()
    with server.connect("mqtts", old) as device:
        device.sendall(mqtt.Connect("qdnobody", 120, True, None, b"0;0000;pNONE;eA==").encode())
        assert device.recv(4) == b"\x20\x02\x00\x00"

        server.renew()
        server.hang_up("tls.reloaded")

        for scheme in ("https", "mqtts"):
            server.connect(scheme, server.trusted()).close()
            with pytest.raises(ssl.SSLCertVerificationError):
                server.connect(scheme, old)
        # The connection of before is still this one, and goes on in its own time.
        assert app.sock is not None
        app.request("GET", "/healthz")
        assert json.load(app.getresponse()) == {"status": "ok"}
        assert device.recv(1) != b""
    app.close()


def test_a_certificate_that_cannot_be_used_leaves_the_earlier_one_and_says_so(server: Server) -> None:
    good = server.trusted()
    server.certificate.write_text("nothing of use")

    server.hang_up("tls.not_reloaded")

    for scheme in ("https", "mqtts"):
        server.connect(scheme, good).close()
    said = [line for line in server.log.read_text().splitlines() if "tls.not_reloaded" in line]
    assert len(said) == 2
    assert all("the earlier one stays" in line and str(server.certificate) in line for line in said)


def test_push_is_served_over_tls_too(server: Server) -> None:
    wanted = (
        "GET /ws/v1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with server.connect("https", server.trusted()) as app:
        app.sendall(wanted.encode())
        assert app.recv(1000).startswith(b"HTTP/1.1 101 ")


def test_tls_1_1_and_plain_text_are_refused_and_harm_nobody(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port("mqtts")), timeout=10) as plain:
        plain.sendall(NOBODY)
        assert b"\x20\x02" not in plain.recv(100)
    with socket.create_connection(("127.0.0.1", server.port("https")), timeout=10) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" not in plain.recv(100)

    server.connect("mqtts", server.trusted()).close()


def test_a_device_shows_its_own_certificate(tmp_path: Path) -> None:
    authority = write_authority(tmp_path)
    server = Server(
        tmp_path,
        *("--http-port", "0", "--mqtt-port", "0", "--mqtts-port", "0", "--mqtts-client-ca", str(authority.file)),
    )
    try:
        context = server.trusted()
        context.load_cert_chain(authority.sign(tmp_path, "qdother"))
        with server.connect("mqtts", context) as device:
            device.sendall(NOBODY)
            answer = device.recv(100)
            assert answer[:4] == b"\x20\x02\x00\x00"
        context.load_cert_chain(authority.sign(tmp_path, "qdnobody"))
        with server.connect("mqtts", context) as device:
            device.sendall(NOBODY)
            assert device.recv(4) == b"\x20\x02\x00\x05"
        assert said_to(server, server.trusted()) == b""
        with socket.create_connection(("127.0.0.1", server.port("mqtt")), timeout=10) as device:
            device.sendall(NOBODY)
            assert device.recv(4) == b"\x20\x02\x00\x00"
    finally:
        assert server.stop() == 0


def test_without_tls_sighup_stops_cleanly(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [*COMMAND, "serve", "--data", str(tmp_path / "data"), "--http-port", "0", "--mqtt-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )
    assert running.stdout is not None
    with running.stdout:
        assert running.stdout.readline().startswith(b"quecbind ready ")
        running.send_signal(signal.SIGHUP)
        assert running.wait(20) == 0
    assert not (tmp_path / "data" / "serve.json").exists()
