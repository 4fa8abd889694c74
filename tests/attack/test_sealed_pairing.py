"""Sealed pairing: what a listener in the room has, what guessing costs, and what a recorded exchange is worth."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from quecbind.app.errors import PairingError, WrongPinError
from quecbind.app.lan import FoundDevice
from quecbind.app.lan.network import pair, pair_sealed
from tests.attack.crowd import Crowd, run_crowd
from tests.e2e.center_process import environment
from tests.e2e.wire_by_hand import frame, ttlv_bytes, unframe, untext
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

ROOT = Path(__file__).parents[2]
PIN = "271828"
ASK, ANSWER, PROOF, OUTCOME = 0x70E0, 0x70E1, 0x70E2, 0x70E3


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    yield from run_crowd(tmp_path_factory.mktemp("crowd"), 4)


class Lamp:
    """examples/bind_me.py, which knows no PIN; the environment gives it one."""

    def __init__(self, crowd: Crowd, place: Path, dk: str) -> None:
        self.product, self.dk = crowd.single, dk
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "examples" / "bind_me.py")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(
                QUECIOT_HOME=str(place),
                QUECIOT_SERVER=f"mqtt://127.0.0.1:{crowd.center.mqtt_port}",
                QUECIOT_DK=dk,
                QUECIOT_LAN_HOST="127.0.0.1",
                QUECIOT_LAN_UDP_PORT="0",
                QUECIOT_LAN_TCP_PORT=str(self.port),
                QUECIOT_PAIRING_PIN=PIN,
                BIND_ME_PRODUCT_KEY=self.product.key,
                BIND_ME_PRODUCT_SECRET=self.product.secret,
                BIND_ME_RESET_FILE=str(place / "button"),
            ),
        )

    def at(self, port: int | None = None) -> FoundDevice:
        return FoundDevice(self.product.key, self.dk, "127.0.0.1", port or self.port, None, 1)

    def code(self, pin: str = PIN) -> str | None:
        """What the App gets, tried again while the device starts and while it is asked too often."""
        for _ in range(100):
            try:
                return asyncio.run(pair_sealed(self.at(), pin)).bind_code
            except WrongPinError:
                raise
            except PairingError:
                time.sleep(0.1)
        return None

    def say(self, data: bytes) -> tuple[int, int, dict[int, object]]:
        with socket.create_connection(("127.0.0.1", self.port), 10) as line:
            line.sendall(data)
            packet_id, command, payload = unframe(line.recv(4096))
            return packet_id, command, untext(payload)


@pytest.fixture(scope="module")
def lamps(crowd: Crowd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Lamp]]:
    lamps = [Lamp(crowd, tmp_path_factory.mktemp(name), f"86100000000000{name}") for name in ("1", "2", "3")]
    yield lamps
    for lamp in lamps:
        lamp.process.terminate()
        lamp.process.wait(10)


class Listener:
    """Stands between one App and the device, passes everything on and keeps it."""

    def __init__(self, lamp: Lamp) -> None:
        self.heard, self.said_by_app = bytearray(), bytearray()
        self._lamp = lamp
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._thread.join(20)
        self._socket.close()

    def _run(self) -> None:
        self._socket.settimeout(10)
        app, _ = self._socket.accept()
        with app, socket.create_connection(("127.0.0.1", self._lamp.port), 10) as device:
            while True:
                for source in select.select([app, device], [], [], 10)[0] or [None]:
                    try:
                        data = source.recv(4096) if source else b""
                    except ConnectionResetError:
                        data = b""
                    if not data:
                        return
                    self.heard += data
                    if source is app:
                        self.said_by_app += data
                    (device if source is app else app).sendall(data)


def test_a_listener_learns_nothing_and_the_user_is_bound(crowd: Crowd, lamps: list[Lamp], row: Row) -> None:
    lamp, owner = lamps[2], crowd.person()
    assert lamp.code() is not None  # it is up
    with Listener(lamp) as listener:
        code = asyncio.run(pair_sealed(lamp.at(listener.port), PIN)).bind_code
    assert code is not None

    row("sealed pairing, listening: the bind code is in what was heard", False, code.encode() in listener.heard)
    row("... the PIN is in it", False, PIN.encode() in listener.heard)
    opened = asyncio.run(pair("127.0.0.1", lamp.port))
    row("the open exchange, asked instead: a bind code", None, opened.bind_code)
    with socket.create_connection(("127.0.0.1", lamp.port), 10) as line:
        line.sendall(bytes(listener.said_by_app))  # the question and the proof of an exchange that went well
        said = b""
        while OUTCOME.to_bytes(2, "big") not in said:
            said += line.recv(4096)
    last = untext(unframe(said[said.rindex(b"\xaa\xaa") :])[2])
    row("the App's recorded half, played again: a bind code", False, 9 in last)

    row("the App that knows the PIN: bound", 200, until(lambda: owner.bind(lamp.product, lamp.dk, code), 200))


def until(ask: Callable[[], int], expected: int) -> int:
    """The last of at most 100 answers, a tenth of a second apart; the expected one ends it."""
    for _ in range(100):
        if (answer := ask()) == expected:
            break
        time.sleep(0.1)
    return answer


def test_guessing_costs_a_try_each_and_the_tenth_closes_the_window(crowd: Crowd, lamps: list[Lamp], row: Row) -> None:
    lamp, asker, thief = lamps[1], *crowd.people(2)
    code = lamp.code()
    assert code is not None
    wrong = "0000000000000000"  # 5462 as soon as the device has reported its code
    assert until(lambda: asker.bind(lamp.product, lamp.dk, wrong), 5462) == 5462
    left = []
    for number in range(10):
        try:
            lamp.code(pin=f"{number:06}")
        except WrongPinError as error:
            left.append(error.tries_left)

    row("ten wrong PINs: tries left", [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], left)
    row("... the right PIN after them: what the device says", (ANSWER, {3: 2}), lamp.say(element())[1:])
    row(
        "... a code learnt before, brought to the Developer Center",
        5460,
        until(lambda: thief.bind(lamp.product, lamp.dk, code), 5460),
    )


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("an element that is no point", frame(7, ASK, ttlv_bytes(1, b"A" + b"\xff" * 32)), (ANSWER, {3: 2})),
        ("the neutral element", frame(7, ASK, ttlv_bytes(1, b"A\x01" + bytes(31))), (ANSWER, {3: 2})),
        ("an empty question", frame(7, ASK, b""), (ANSWER, {3: 2})),
        ("a proof without a question", frame(7, PROOF, ttlv_bytes(2, bytes(32))), (OUTCOME, {3: 2})),
    ],
)
def test_what_is_no_exchange_tells_nothing(
    lamps: list[Lamp], row: Row, name: str, data: bytes, said: tuple[int, dict[int, object]]
) -> None:
    lamps[0].code()  # it is up
    row(f"sealed pairing with {name}", said, lamps[0].say(data)[1:])


def element() -> bytes:
    import spake2

    return frame(8, ASK, ttlv_bytes(1, spake2.SPAKE2_A(PIN.encode(), entropy_f=os.urandom).start()))
