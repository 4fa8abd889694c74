"""Bind code on the local network: what a device tells to datagrams, how much, and whom an App believes.

Not defended, and said so: whoever is on the same network while the window is open can read the code, and bring it.
"""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.attack.crowd import Crowd, run_crowd
from tests.e2e.center_process import environment, run_command
from tests.e2e.wire_by_hand import frame, ttlv_bytes, ttlv_number, unframe, untext
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

ROOT = Path(__file__).parents[2]
DISCOVER, ANSWER, PAIR = 0x7030, 0x7031, 0x7010
AT_ONCE, PER_S, ALL_AT_ONCE, ALL_PER_S = 4, 1, 20, 10
_addresses = (f"127.3.{n // 250}.{n % 250 + 1}" for n in itertools.count())


class Lamp:
    """examples/bind_me.py on the loopback network, its window open."""

    def __init__(self, crowd: Crowd, place: Path) -> None:
        self.product, self.dk, self.log = crowd.single, "862000000000001", place / "lamp.log"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "examples" / "bind_me.py")],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(
                    QUECIOT_HOME=str(place / "store"),
                    QUECIOT_SERVER=f"mqtt://127.0.0.1:{crowd.center.mqtt_port}",
                    QUECIOT_DK=self.dk,
                    QUECIOT_LAN_HOST="127.0.0.1",
                    QUECIOT_LAN_UDP_PORT=str(self.port),
                    QUECIOT_LAN_TCP_PORT="0",
                    BIND_ME_PRODUCT_KEY=self.product.key,
                    BIND_ME_PRODUCT_SECRET=self.product.secret,
                    BIND_ME_RESET_FILE=str(place / "button"),
                ),
            )
        self.tcp_port = self._found()

    def _found(self) -> int:
        for number in range(100):
            with Asker(self) as asker:
                asker.socket.settimeout(0.3)
                asker.ask(frame(number + 1, DISCOVER, b""))
                if answer := asker.hear():
                    port = untext(unframe(answer)[2])[6]
                    assert isinstance(port, int)
                    return port
        raise AssertionError(self.log.read_text())


class Asker:
    """A UDP socket at an address that has asked nothing yet."""

    def __init__(self, lamp: Lamp) -> None:
        self.lamp, self.socket = lamp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((next(_addresses), 0))
        self.socket.settimeout(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def ask(self, data: bytes) -> None:
        self.socket.sendto(data, ("127.0.0.1", self.lamp.port))

    def hear(self) -> bytes | None:
        try:
            return self.socket.recv(2048)
        except (TimeoutError, ConnectionRefusedError):
            return None

    def heard(self) -> list[bytes]:
        """Everything until half a second of silence."""
        self.socket.settimeout(0.5)
        return list(iter(self.hear, None))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    yield from run_crowd(tmp_path_factory.mktemp("crowd"), 10)


@pytest.fixture(scope="module")
def lamp(crowd: Crowd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lamp]:
    lamp = Lamp(crowd, tmp_path_factory.mktemp("lamp"))
    yield lamp
    lamp.process.terminate()
    lamp.process.wait(10)


def test_a_flood_from_one_source_is_answered_a_few_times(lamp: Lamp, row: Row) -> None:
    began = time.monotonic()
    with Asker(lamp) as asker:
        for number in range(2000):
            asker.ask(frame(number, DISCOVER, b""))
        answers = asker.heard()
    allowed = AT_ONCE + PER_S * (time.monotonic() - began) + 1
    sent = 2000 * len(frame(1, DISCOVER, b""))
    row("2,000 questions from one source: more answers than 4 and 1 a second", False, len(answers) > allowed)
    row("... fewer bytes come back than were sent", True, sum(map(len, answers)) < sent)
    row(
        "... one answer is at most 12 times its question",
        True,
        all(len(a) <= 12 * len(frame(1, DISCOVER, b"")) for a in answers),
    )
    row("... and lacks the bind code", False, any(set(untext(unframe(a)[2])) - {3, 4, 5, 6, 7} for a in answers))


def test_a_flood_from_many_sources_is_answered_a_few_times(lamp: Lamp, row: Row) -> None:
    began, answers, askers = time.monotonic(), 0, [Asker(lamp) for _ in range(100)]
    for number in range(5):
        for asker in askers:
            asker.ask(frame(number, DISCOVER, b""))
    for asker in askers:
        asker.socket.settimeout(0.02)
        answers += len(list(iter(asker.hear, None)))  # type: ignore[arg-type]
        asker.socket.close()
    allowed = ALL_AT_ONCE + ALL_PER_S * (time.monotonic() - began) + 1
    row("500 questions from 100 sources: more answers than 20 and 10 a second", False, answers > allowed)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("the pairing question 0x7010", frame(1, PAIR, b"")),
        ("discovery with a payload", frame(1, DISCOVER, ttlv_bytes(1, b"a"))),
        ("somebody's answer", frame(1, ANSWER, ttlv_bytes(3, b"a"))),
        ("a bind code report", frame(1, 0x00B5, ttlv_bytes(11, b"1234567890ABCDEF"))),
        ("a wrong checksum", frame(1, DISCOVER, b"")[:4] + b"\xff" + frame(1, DISCOVER, b"")[5:]),
        ("half a frame", frame(1, DISCOVER, b"")[:6]),
        ("1,400 bytes", b"\xaa" * 1400),
        ("nothing", b""),
    ],
)
def test_nothing_but_discovery_is_answered(lamp: Lamp, row: Row, name: str, data: bytes) -> None:
    for number in range(100):  # the floods of others may have used the allowance of all
        with Asker(lamp) as asker:
            asker.socket.settimeout(0.3)
            asker.ask(data)
            asker.ask(frame(4000 + number, DISCOVER, b""))
            if answer := asker.hear():
                break
    assert answer is not None
    row(
        f"a datagram: {name}; the first answer is to the question after it",
        (4000 + number, ANSWER),
        unframe(answer)[:2],
    )


def test_an_app_keeps_to_where_an_answer_came_from(lamp: Lamp, row: Row) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
        liar.bind(("127.0.0.1", 0))
        liar.settimeout(20)

        def lie() -> None:
            question, app = liar.recvfrom(2048)
            fields = ttlv_bytes(3, b"p11111") + ttlv_bytes(4, lamp.dk.encode()) + ttlv_bytes(5, b"127.0.0.99")
            liar.sendto(frame(unframe(question)[0], ANSWER, fields + ttlv_number(6, 6607) + ttlv_number(7, 1)), app)

        thread = threading.Thread(target=lie)
        thread.start()
        port = str(liar.getsockname()[1])
        found = run_command("app", "discover", "--lan-address", "127.0.0.1", "--lan-port", port, "--json")
        thread.join(20)
    row(
        "a LAN answer that names another address: the App takes",
        "127.0.0.1",
        json.loads(found.stdout)[0]["address"],
    )


def test_whoever_reads_the_code_on_the_network_can_bring_it(crowd: Crowd, lamp: Lamp, row: Row) -> None:
    thief, owner = crowd.people(2)
    answer = 0
    for _ in range(100):  # the device enrols and reports meanwhile
        code = pairing_code(lamp)
        answer = thief.bind(lamp.product, lamp.dk, code) if code else 0
        if answer not in {0, 5460}:
            break
    row("NOT DEFENDED: LAN, a code read on the same network, relayed", 200, answer)
    row("... the rightful user hears that there is no code", 5460, owner.bind(lamp.product, lamp.dk, code))


def pairing_code(lamp: Lamp) -> str | None:
    """What the device tells over TCP to anybody on its network; None while its window is closed."""
    for _ in range(100):
        try:
            with socket.create_connection(("127.0.0.1", lamp.tcp_port), 10) as line:
                line.sendall(frame(9, PAIR, b""))
                data = line.recv(2048)
        except ConnectionResetError:
            continue  # too many connections at once
        if data:
            code = untext(unframe(data)[2]).get(9)
            return code.decode() if isinstance(code, bytes) else None
    return None
