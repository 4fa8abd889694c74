"""`quecbind serve` as a process: it says when it is ready, refuses with a sentence, stops cleanly, survives kill -9."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from quecbind.wire import mqtt
from tests.center.certificate import write_certificate
from tests.e2e.center_process import COMMAND, CenterProcess, environment

pytestmark = pytest.mark.enable_socket


def a_center(tmp_path: Path, *options: str) -> CenterProcess:
    return CenterProcess(tmp_path / "data", tmp_path / "serve.log", options=options)


@pytest.fixture
def center(tmp_path: Path) -> Iterator[CenterProcess]:
    running = a_center(tmp_path).start()
    yield running
    if running.process is not None:
        running.stop()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CenterProcess]:
    """One that no test stops."""
    running = a_center(tmp_path_factory.mktemp("serving")).start()
    yield running
    assert running.stop() == 0


def try_to_serve(data: Path, *options: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """A `serve` that is expected to end by itself."""
    ports = () if "--http-port" in options else ("--http-port", "0")
    return subprocess.run(
        [*COMMAND, "serve", "--data", str(data), *ports, "--mqtt-port", "0", *options],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment(**extra),
        stdin=subprocess.DEVNULL,
        check=False,
    )


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()  # type: ignore[no-any-return]


def test_it_serves_http_devices_and_metrics_from_one_process(center: CenterProcess) -> None:
    with socket.create_connection((center.host, center.mqtt_port), timeout=10) as device:
        device.sendall(mqtt.Connect("qdnobody", 120, True, None, b"1;0000;0123456789ABCDEF;x").encode())
        assert device.recv(4) == b"\x20\x02\x00\x05"
        assert device.recv(1) == b""

    assert json.loads(get(center.url + "/healthz")) == {"status": "ok"}
    metrics = get(center.url + "/metrics")
    assert 'quecbind_connections_ended_total{reason="denied"} 1.0' in metrics
    assert "quecbind_devices_online 0.0" in metrics
    assert 'quecbind_events_total{event="device.denied"} 1.0' in metrics
    assert "process_open_fds" in metrics


def test_it_says_where_it_is_to_its_own_user_only(center: CenterProcess) -> None:
    file = center.data / "serve.json"

    described = json.loads(file.read_text())

    assert center.process is not None
    assert described["pid"] == center.process.pid
    assert described["http"] == center.url
    assert described["mqtt"] == f"mqtt://127.0.0.1:{center.mqtt_port}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert center.operator("GET", "/products")[1]["items"] == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_and_cuts_its_devices_off(center: CenterProcess, how: signal.Signals) -> None:
    with socket.create_connection((center.host, center.mqtt_port), timeout=10) as device:
        assert center.stop(how) == 0
        assert device.recv(1) == b""

    assert not (center.data / "serve.json").exists()
    assert "Traceback" not in center.log.read_text()


def test_a_second_server_on_the_same_directory_refuses_and_names_the_first(center: CenterProcess) -> None:
    refused = try_to_serve(center.data)

    assert center.process is not None
    assert refused.returncode == 1
    assert f"in use by process {center.process.pid}" in refused.stderr
    assert refused.stdout == ""
    assert json.loads(get(center.url + "/healthz")) == {"status": "ok"}
    assert (center.data / "serve.json").exists()


def test_kill_9_loses_nothing_that_was_answered(center: CenterProcess) -> None:
    product = center.make("/products", name="lamp")

    center.kill()
    assert (center.data / "serve.json").exists()
    center.start()

    (kept,) = center.operator("GET", "/products")[1]["items"]
    assert kept["product_key"] == product["product_key"]


@pytest.mark.parametrize("flag", ["--http-port", "--mqtt-port"])
def test_a_taken_port_is_refused_with_a_sentence_and_leaves_the_directory_free(tmp_path: Path, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        refused = try_to_serve(tmp_path / "data", flag, port)

    assert refused.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert a_center(tmp_path).start().stop() == 0


def test_an_address_of_another_machine_is_refused_with_a_sentence(tmp_path: Path) -> None:
    refused = try_to_serve(tmp_path / "data", "--host", "192.0.2.1")

    assert refused.returncode == 1
    assert "cannot listen on 192.0.2.1" in refused.stderr


def test_a_damaged_database_is_refused_with_a_sentence(tmp_path: Path) -> None:
    assert a_center(tmp_path).start().stop() == 0
    database = tmp_path / "data" / "quecbind.db"
    database.write_bytes(os.urandom(database.stat().st_size))

    refused = try_to_serve(tmp_path / "data")

    assert refused.returncode == 1
    assert "quecbind.db" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_wrong_setting_is_a_usage_error(tmp_path: Path) -> None:
    refused = try_to_serve(tmp_path / "data", QUECBIND_MAX_CONNECTIONS="many")

    assert refused.returncode == 2
    assert "QUECBIND_MAX_CONNECTIONS must be a whole number" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_bad_tls_files_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    options = ("--mqtts-port", "0", "--tls-cert", str(certificate), "--tls-key")

    missing = try_to_serve(tmp_path / "data", *options, str(tmp_path / "nothing.pem"))
    other = try_to_serve(tmp_path / "data", *options, str(certificate))

    assert (missing.returncode, other.returncode) == (1, 1)
    assert "nothing.pem cannot be read: No such file or directory" in missing.stderr
    assert "are no certificate and its key" in other.stderr
    assert not (tmp_path / "data").exists()
    assert key.exists()


def test_the_ready_line_names_every_address(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    options = ("--mqtts-port", "0", "--tls-cert", str(certificate), "--tls-key", str(key), "--lan-host", "center.lan")
    ports = ("--http-port", "0", "--mqtt-port", "0")
    running = subprocess.Popen(
        [*COMMAND, "serve", "--data", str(tmp_path / "data"), "--host", "0.0.0.0", *ports, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    try:
        assert running.stdout is not None
        words = running.stdout.readline().split()
        facts = dict(word.split("=", 1) for word in words[2:])

        assert words[:2] == ["quecbind", "ready"]
        assert list(facts) == ["http", "mqtt", "mqtts", "lan", "data"]
        # Nobody can connect to the wildcard address.
        assert facts["http"].startswith("http://127.0.0.1:")
        assert (facts["lan"], facts["data"]) == ("center.lan", str(tmp_path / "data"))
        port = int(facts["mqtts"].removeprefix("mqtts://127.0.0.1:"))
        context = ssl.create_default_context(cafile=str(certificate))
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as device,
        ):
            device.sendall(mqtt.Connect("qdnobody", 120, True, None, b"x").encode())
            assert device.recv(4)[:2] == b"\x20\x02"
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0
        running.stdout.close()


def test_headers_without_end_are_refused(serving: CenterProcess) -> None:
    with socket.create_connection((serving.host, serving.http_port), timeout=10) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ")
        try:
            for _ in range(20):
                client.sendall(b"x" * 8192)
            answer = client.recv(100)
        except ConnectionError:
            answer = b""

    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert json.loads(get(serving.url + "/healthz")) == {"status": "ok"}


def said_to(center: CenterProcess, *pieces: bytes) -> bytes:
    """All that is answered to these pieces until it is closed."""
    with socket.create_connection((center.host, center.http_port), timeout=10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        said = b""
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                client.sendall(piece)
            while more := client.recv(65536):
                said += more
    return said


def head_of(size: int) -> bytes:
    begin, end = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: ", b"\r\n\r\n"
    return begin + b"x" * (size - len(begin) - len(end)) + end


@pytest.mark.parametrize(
    ("size", "answer"), [(32_768, b"HTTP/1.1 200"), (32_769, b"HTTP/1.1 400"), (99_999, b"HTTP/1.1 400")]
)
def test_a_head_is_measured_to_the_byte_however_it_comes(serving: CenterProcess, size: int, answer: bytes) -> None:
    head = head_of(size)
    post = b"POST /v2/enduser/enduserapi/emailPwdLogin HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n"
    post += b"a=" + b"\n" * 29_998
    chunked = b"POST /v2/enduser/enduserapi/emailPwdLogin HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"7530\r\na=" + b"\n" * 29_998 + b"\r\n0\r\n\r\n"

    whole, in_parts = said_to(serving, head), said_to(serving, *(head[at : at + 5_000] for at in range(0, size, 5_000)))
    behind_a_body = said_to(serving, post + head)
    behind_chunks = said_to(serving, chunked + head)

    said = [whole, in_parts, behind_a_body, behind_chunks]
    if answer.endswith(b"200"):
        assert [each.count(answer) for each in said] == [1, 1, 2, 2]
    else:
        # Who still speaks when it is closed may not hear why.
        assert {each[:12] for each in said} <= {answer, b""}
        assert b'"ok"' not in b"".join(said)


def test_many_small_requests_in_one_breath_are_all_answered_in_order(serving: CenterProcess) -> None:
    def post(number: int) -> bytes:
        body = b"email=%d&pad=" % number + b"x" * 7_000
        line = b"POST /v2/enduser/enduserapi/emailPwdLogin?userDomain= HTTP/1.1\r\nHost: x\r\n"
        return line + b"Content-Length: %d\r\n\r\n" % len(body) + body

    last = b"GET /no/such/path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    said = said_to(serving, b"".join(post(number) for number in range(20)) + last[:30], last[30:])

    assert said.count(b'"code":5023') == 20
    assert said.rindex(b'"code":5023') < said.index(b"HTTP/1.1 404")


def test_what_comes_behind_a_body_is_no_header(serving: CenterProcess) -> None:
    head = b"PUT /v2/enduser/enduserapi/refreshToken HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    trailer = b"Authorization: a\r\nAuthorization: b\r\nExpect: x\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    said = said_to(serving, head + b"\r\n0\r\n" + trailer + last)

    assert b'"code":5115' in said
    assert said.endswith(b'{"status":"ok"}')


def test_nothing_but_empty_lines_is_not_listened_to_for_ever(serving: CenterProcess) -> None:
    assert said_to(serving, b"\r\n" * 50_000)[:12] in {b"HTTP/1.1 400", b""}


WEB_SOCKET = (
    b"GET /ws/v1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nConnection: close\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nAuthorization: b\r\nConnection: close\r\n",
        WEB_SOCKET.replace(b"Host: a\r\n", b""),
        WEB_SOCKET + b"Host: b\r\n",
        WEB_SOCKET.replace(b"/ws/v1", b"/%77s/v1"),
    ],
)
def test_who_is_asked_is_said_once(serving: CenterProcess, head: bytes) -> None:
    assert said_to(serving, head + b"\r\n")[:11] == b"HTTP/1.1 40"


@pytest.mark.parametrize(
    "request_",
    [
        WEB_SOCKET.replace(b"GET", b"POST") + b"\r\n",
        WEB_SOCKET + b"Content-Length: 3\r\n\r\nabc",
        WEB_SOCKET + b"Content-Length: 3\r\n\r\n",
        WEB_SOCKET + b"Transfer-Encoding: chunked\r\n\r\n",
        WEB_SOCKET + b"X: y\r\n" * 300 + b"\r\n",
        WEB_SOCKET + b"X: " + b"y" * 20_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_web_socket_request_is_not_kept_in_silence(serving: CenterProcess, request_: bytes) -> None:
    assert said_to(serving, request_)[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 431"}


def test_headers_that_do_not_come_are_not_waited_for(tmp_path: Path) -> None:
    running = a_center(tmp_path, "--http-idle-time", "1").start()
    try:
        for said in (b"", b"GET /healthz HTTP/1.1\r\n"):
            with socket.create_connection((running.host, running.http_port), timeout=10) as client:
                client.sendall(said)
                assert client.recv(100) == b""
    finally:
        assert running.stop() == 0
