"""LAN sessions: what somebody on the same network tries against a bound device while its owner's App uses it.

The device is a process of its own and both Apps are written from the document. Not defended, and said so: who is on the
way between App and device can repeat a frame within its session.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quecIot._delays import FREE_COUNT
from tests.attack.crowd import BINDING, CODE, Crowd, run_crowd
from tests.attack.lamp import LOGGED_IN, ON, PING, PONG, REFUSED, WRITE, WRITE_ACK, Lamp, until
from tests.attack.shares import accept, end, invite, used_by
from tests.e2e.wire_by_hand import frame, random_text, ttlv_bytes
from tests.quecIot.app_by_hand import App, build
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

HELLO, LOGIN, LOGIN_RESULT, PAIR, PAIR_ANSWER, RAW, READ, STATUS = (
    0x7032,
    0x7034,
    0x7035,
    0x7010,
    0x7011,
    0x23,
    0x11,
    0x31,
)
ALREADY_LOGGED_IN = bytes.fromhex("001a0002")
OWNERS_PHONE = "127.0.0.1"
_sources = (f"127.5.{n // 250}.{n % 250 + 1}" for n in itertools.count())


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    yield from run_crowd(tmp_path_factory.mktemp("crowd"), 30)


class Home:
    """A bound device, and the App of its owner with a session that stands."""

    def __init__(self, crowd: Crowd, lamp: Lamp) -> None:
        self.crowd, self.lamp, self.owner = crowd, lamp, crowd.person()
        self.key = lamp.bound_to(self.owner)
        self.phone = lamp.app(self.key, OWNERS_PHONE)
        assert self.phone.log_in() == LOGGED_IN

    def stranger(self, key: bytes | None = None) -> App:
        """At an address nobody has used; with the owner's key if none is given."""
        return self.lamp.app(self.key if key is None else key, next(_sources))

    def served(self, phone: App | None = None) -> str:
        """ "served" when the owner's App still pings and switches; else what happened."""
        phone = phone or self.phone
        before = len(self.lamp.events())
        try:
            if phone.ask(PING) != (PONG, b""):
                return "no pong"
            command, sealed = phone.ask(WRITE, phone.seal(ON))
        except EOFError:
            return "session cut"
        if (command, phone.open(sealed)) != (WRITE_ACK, bytes.fromhex("000a0000")):
            return "not acknowledged"
        if not until(lambda: len(self.lamp.events()) > before):
            return "not done"
        return "served" if len(self.lamp.events()) == before + 1 else f"also {self.lamp.events()[before:]}"


@pytest.fixture(scope="module")
def standing(crowd: Crowd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    lamp = Lamp(crowd, tmp_path_factory.mktemp("lamp"), "863000000000001")
    try:
        home = Home(crowd, lamp)
        with home.phone:
            yield home
    finally:
        lamp.stop()


@pytest.fixture
def home(standing: Home) -> Iterator[Home]:
    """Looked at again when the test is over: the owner's App is served, and nothing was done for anybody else."""
    done = standing.lamp.events()
    yield standing
    assert standing.lamp.events() == done
    assert standing.served() == "served"


@pytest.fixture
def moving(crowd: Crowd, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Home]:
    """A device of its own, for a test in which the owner changes something."""
    lamp = Lamp(crowd, tmp_path, f"8640{abs(hash(request.node.name)) % 10**11:011d}")
    try:
        home = Home(crowd, lamp)
        with home.phone:
            yield home
    finally:
        lamp.stop()


# The key


def test_a_wrong_key_waits_and_waits_longer_and_nobody_else_does(home: Home, row: Row) -> None:
    guesser = next(_sources)

    def tries(key: bytes) -> bytes:
        with home.lamp.app(key, guesser) as app:
            return app.log_in()

    def is_kept_out_until() -> float:
        assert until(lambda: tries(home.key) == LOGGED_IN)
        return time.monotonic()

    for _ in range(FREE_COUNT):
        assert tries(b"x" * 16) == REFUSED
    began = time.monotonic()
    row("LAN, a wrong key", REFUSED, tries(b"x" * 16))
    with home.stranger() as elsewhere:
        row("... the right key from another address", LOGGED_IN, elsewhere.log_in())
    row("... from that address: kept out for a second", True, is_kept_out_until() - began >= 1)
    for _ in range(FREE_COUNT + 1):
        assert tries(b"x" * 16) == REFUSED
    time.sleep(1.1)  # the second itself: a right log-in would end it
    began = time.monotonic()
    assert tries(b"y" * 16) == REFUSED
    row("... after a second wrong one in a row: for two", True, is_kept_out_until() - began >= 2)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("nothing", b""),
        ("63 characters", ttlv_bytes(2, b"a" * 63)),
        ("65 characters", ttlv_bytes(2, b"a" * 65)),
        ("no hex", ttlv_bytes(2, b"g" * 64)),
        ("another id", ttlv_bytes(1, b"a" * 64)),
        ("half of it", ttlv_bytes(2, b"a" * 64)[:30]),
        ("bytes that are no text", ttlv_bytes(2, b"\xff" * 64)),
        ("a number", bytes.fromhex("001201ffff")),
    ],
)
def test_a_token_that_is_none_opens_nothing(home: Home, row: Row, name: str, data: bytes) -> None:
    with home.stranger() as app:
        app.hello()
        row(f"LAN, a log-in with {name} for a token", (LOGIN_RESULT, REFUSED), app.ask(LOGIN, data))


# Replays


def test_a_log_in_that_was_overheard_opens_nothing(home: Home, row: Row) -> None:
    with home.stranger() as overheard:
        overheard.hello()
        token = bytes.fromhex("00130040") + overheard.token()
        with home.stranger() as before:
            before.hello()
            row("LAN, a token overheard, before its App used it", (LOGIN_RESULT, REFUSED), before.ask(LOGIN, token))
        assert overheard.ask(LOGIN, token) == (LOGIN_RESULT, LOGGED_IN)
        again = overheard.ask(LOGIN, token)
        row("... in the session that it opened: nothing new", (LOGIN_RESULT, ALREADY_LOGGED_IN), again)
        assert overheard.ask(HELLO)[0] == 0x7033
        row("... on the same connection once more", (LOGIN_RESULT, REFUSED), overheard.ask(LOGIN, token))
    with home.stranger() as after:
        row("... on a new connection, without a random", (LOGIN_RESULT, REFUSED), after.ask(LOGIN, token))
    with home.stranger() as after:
        after.hello()
        row("... on a new connection, for another random", (LOGIN_RESULT, REFUSED), after.ask(LOGIN, token))


def test_a_random_that_is_asked_for_again_voids_the_earlier(home: Home, row: Row) -> None:
    with home.stranger() as app:
        app.hello()
        token = bytes.fromhex("00130040") + app.token()
        app.hello()
        row("LAN, a token for a random before the last", (LOGIN_RESULT, REFUSED), app.ask(LOGIN, token))


def test_frames_of_one_session_are_worth_nothing_in_another(home: Home, row: Row) -> None:
    with home.stranger() as first, home.stranger() as second, home.stranger() as third:
        assert first.log_in() == second.log_in() == LOGGED_IN
        # Where two randoms end alike, so does the block, and its one byte of padding stays right.
        while second.random[-1] == first.random[-1]:
            assert second.log_in() == LOGGED_IN
        captured = build(77, RAW, first.seal(b"captured frames"))
        second.socket.sendall(captured)
        third.socket.sendall(captured)
        second.ask(PING)
        third.hello()
        row("LAN, a frame of one session sent in another, and without one: done", [],
            [event for event in home.lamp.events() if "captured" in event])  # fmt: skip


def test_a_frame_repeated_within_its_session(moving: Home, row: Row) -> None:
    sealed = build(78, RAW, moving.phone.seal(b"again"))
    for _ in range(2):
        moving.phone.socket.sendall(sealed)
    moving.phone.ask(PING)

    def times() -> int:
        return sum("again" in event for event in moving.lamp.events())

    assert until(lambda: times() == 2)
    row("NOT DEFENDED: LAN, a frame repeated on the way, within its own session: done", 2, times())


# Keys of before


def ask_for_another_key(home: Home) -> bytes:
    named = {"pk": home.lamp.product.key, "dk": home.lamp.dk}
    return home.lamp.holds(home.owner.call("POST", BINDING + "regenerateAuthKey", named)["data"]["authKey"])


def unbind(home: Home) -> None:
    assert home.owner.unbind(home.lamp.product, home.lamp.dk) == 200
    home.lamp.holds("")


def press_reset(home: Home) -> None:
    home.lamp.tell("reset")
    home.lamp.holds("")


WAYS: list[tuple[str, Callable[[Home], object]]] = [
    ("the owner asks for another key", ask_for_another_key),
    ("the owner unbinds", unbind),
    ("the device is reset", press_reset),
]


@pytest.mark.parametrize(("name", "act"), WAYS, ids=[name for name, _ in WAYS])
def test_a_key_of_before_opens_nothing_and_its_session_is_cut(
    moving: Home, row: Row, name: str, act: Callable[[Home], object]
) -> None:
    act(moving)

    done = moving.lamp.events()
    moving.phone.send(WRITE, moving.phone.seal(ON))
    row(f"LAN, {name}: the open session at its next frame", True, moving.lamp.closed(moving.phone))
    row("... what was done of that frame", done, moving.lamp.events())
    with moving.stranger() as app:
        row("... a log-in with the key of before", REFUSED, app.log_in())


def test_a_new_owner_has_a_key_of_their_own(moving: Home, row: Row) -> None:
    old_key = moving.key
    unbind(moving)
    moving.lamp.tell("window")
    buyer = moving.crowd.person()
    key = moving.lamp.bound_to(buyer)
    with moving.stranger(old_key) as seller, moving.stranger(key) as phone:
        row("LAN, sold without a reset: the seller's key", REFUSED, seller.log_in())
        row("... the buyer's", LOGGED_IN, phone.log_in())


def test_a_member_loses_the_session_with_the_share(moving: Home, row: Row) -> None:
    member = moving.crowd.person()
    code = invite(moving.owner, _Named(moving))  # type: ignore[arg-type]
    assert accept(member, code) == 200
    key = moving.lamp.holds(used_by(member, _Named(moving))["authKey"])  # type: ignore[arg-type]
    with moving.stranger(key) as app:
        assert app.log_in() == LOGGED_IN
        assert moving.served(app) == "served"
        assert end(moving.owner, code) == 200
        new_key = moving.lamp.holds(used_by(moving.owner, _Named(moving))["authKey"])  # type: ignore[arg-type]
        app.send(WRITE, app.seal(ON))
        row("LAN, the owner ends a share: the member's open session at its next frame", True, moving.lamp.closed(app))
    with moving.stranger(key) as again, moving.stranger(new_key) as owners:
        row("... the member's key", REFUSED, again.log_in())
        row("... the owner's new one", LOGGED_IN, owners.log_in())


class _Named:
    """What names the device, for those who ask over HTTP."""

    def __init__(self, home: Home) -> None:
        self.crowd, self.product, self.dk = home.crowd, home.lamp.product, home.lamp.dk


# What is sent without a key


@pytest.mark.parametrize(
    ("name", "command", "data"),
    [
        ("a write", WRITE, ON),
        ("a write of 48 bytes, as if it were sealed", WRITE, bytes(48)),
        ("raw data", RAW, b"hello"),
        ("a read", READ, bytes.fromhex("0026")),
        ("a question for the status", STATUS, b""),
        ("a configuration", 0x00B4, ttlv_bytes(1, b"mqtt://evil")),
        ("a heartbeat", PING, b""),
        ("another heartbeat", 0x7039, bytes.fromhex("000a0001")),
        ("a bind code", 0x00B5, ttlv_bytes(11, b"1234567890ABCDEF")),
        ("a report", 0x0014, ON),
        ("an answer of a device", LOGIN_RESULT, LOGGED_IN),
    ],
)
def test_without_a_log_in_nothing_is_done(home: Home, row: Row, name: str, command: int, data: bytes) -> None:
    with home.stranger() as app:
        for has_random in (False, True):
            if has_random:
                app.hello()
            app.send(command, data)
            app.send(HELLO)
            row(f"LAN, {name} {'with a random' if has_random else 'at once'}: what is answered is the next question",
                (app.packet_id, 0x7033), app.next()[:2])  # fmt: skip


def test_nobody_moves_the_device_to_another_network(home: Home, row: Row) -> None:
    with home.stranger() as app:
        answer, data = app.ask(PAIR, ttlv_bytes(1, b"evil") + ttlv_bytes(2, b"password"))
        row("LAN, Wi-Fi settings of a stranger: answered as if they were not there", PAIR_ANSWER, answer)
        told = CODE if CODE.encode() in data else ""
    thief = home.crowd.person()
    row("... the bind code it tells while its window is open has served, and serves nobody else", 5460,
        thief.bind(home.lamp.product, home.lamp.dk, told))  # fmt: skip


def test_who_asks_without_end_is_closed(home: Home, row: Row) -> None:
    with home.stranger() as app:
        asked = 0
        with contextlib.suppress(EOFError, ConnectionError):
            while asked < 1_000:
                app.hello()
                asked += 1
        row("LAN, randoms asked for without end: answered at most", True, 60 <= asked <= 64)


# Noise


GARBAGE: list[tuple[str, bytes]] = [
    ("every byte", bytes(range(256)) * 20),
    ("AA without end", b"\xaa" * 20_000),
    ("a header and 55 without end", b"\xaa\xaa" + b"\xaa\x55" * 10_000),
    ("a frame that announces 65,535 bytes", b"\xaa\xaa\xff\xff" + bytes(70_000)),
    ("a frame of 5,000 bytes", build(1, WRITE, bytes(5_000))),
    ("a length of 0", b"\xaa\xaa\0\0" * 1_000),
    ("a length of 4", b"\xaa\xaa\0\4\1\0\0\0" * 1_000),
    ("a wrong sum", b"\xaa\xaa\0\5\xff\0\1\x70\x32" * 100),
    ("HTTP", b"GET / HTTP/1.1\r\nHost: lamp\r\n\r\n" * 100),
    ("TLS", bytes.fromhex("16030100f6010000f20303") + bytes(240)),
    ("half a frame", frame(1, HELLO, b"")[:5]),
    ("random bytes", b"".join(random_text(16).encode() for _ in range(1_000))),
]


@pytest.mark.parametrize(("name", "data"), GARBAGE, ids=[name for name, _ in GARBAGE])
def test_garbage_disturbs_nobody(home: Home, row: Row, name: str, data: bytes) -> None:
    with home.stranger() as app, home.stranger() as logged_in:
        assert logged_in.log_in() == LOGGED_IN
        for line in (app, logged_in):
            with contextlib.suppress(ConnectionError):
                line.socket.sendall(data)
        row(f"LAN, {name}, without a log-in and after one: the owner's App", "served", during(home))


def during(home: Home) -> str:
    """As `served`, for the middle of a test; what it did does not count as done for somebody else."""
    return "served" if home.phone.ask(PING) == (PONG, b"") else "not served"


def test_a_frame_byte_by_byte_holds_up_nobody(home: Home, row: Row) -> None:
    with home.stranger() as slow:
        got = []
        for byte in build(1, HELLO):
            slow.socket.sendall(bytes([byte]))
            got.append(during(home))
        row("LAN, a frame byte by byte: the owner's App between them", {"served"}, set(got))
        row("... the slow one is answered", (1, 0x7033), slow.next()[:2])


def test_half_open_connections_cut_no_session_and_keep_nobody_out(home: Home, row: Row) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(home.stranger())
        row("LAN, 20 half-open connections from 20 addresses: the owner's App", "served", during(home))
        row("... a new log-in", True, logs_in(home))
        for _ in range(10):
            with contextlib.suppress(ConnectionError):
                stack.enter_context(home.lamp.app(home.key, "127.6.6.6"))
        row("... ten more from one address: the owner's App", "served", during(home))
        row("... a new log-in", True, logs_in(home))


def logs_in(home: Home) -> bool:
    with contextlib.suppress(EOFError, ConnectionError), home.stranger() as app:
        return app.log_in() == LOGGED_IN
    return False


def test_more_sessions_than_a_device_holds(home: Home, row: Row) -> None:
    """Whoever has the key can fill the places; the owner ends that with another key."""
    with contextlib.ExitStack() as stack:
        got = [stack.enter_context(home.stranger()).log_in() for _ in range(31)]
        row("LAN, 31 sessions beside the owner's", {LOGGED_IN}, set(got))
        row("... one more", False, logs_in(home))
        row("... the owner's App", "served", during(home))
    assert until(lambda: logs_in(home))


def test_strangers_of_one_address_leave_places_to_others(home: Home, row: Row) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            with contextlib.suppress(ConnectionError):
                stack.enter_context(home.lamp.app(home.key, "127.6.6.7"))
        row("LAN, ten half-open connections from one address: another's log-in", True, logs_in(home))
