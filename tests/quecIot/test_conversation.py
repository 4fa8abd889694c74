"""What strangers on the local network can learn, and that it is no use to them for anything else."""

from __future__ import annotations

from typing import Any

import pytest

from quecbind.wire import commands, frame, lan, signing, ttlv
from quecIot import _conversation, _platform
from quecIot._conversation import Conversation, Host
from quecIot._sealed import Sealing
from quecIot._session import Door
from tests.quecIot.bench import CODE, DK, PK, CountingEntropy

SOURCE = "192.0.2.10"
KEY = bytes(range(16))


class Peer:
    def __init__(self, bind_code: str | None = None, product_key: str = PK) -> None:
        self.logged: list[str] = []
        self.identity = (product_key, DK, bind_code)
        self.key: bytes | None = KEY
        self.offer: tuple[str, str, str] | None = None
        self.tries: list[tuple[str, bool]] = []
        self.asked: list[Any] = []
        sealing = Sealing(lambda: self.offer, self.settle, _platform.agree, 0.0)
        self.conversation = Conversation(
            SOURCE,
            Host(lambda: self.identity, Door(lambda: self.key), self.carry_out, sealing),
            CountingEntropy(),
            lambda level, text: self.logged.append(text),
            now=0.0,
        )

    def settle(self, pin: str, is_right: bool) -> str | int | None:
        self.tries.append((pin, is_right))
        return CODE if is_right else 9

    def carry_out(self, decision: tuple[Any, ...]) -> bytes:
        self.asked.append(decision)
        return b""

    def log_in(self, now: float) -> None:
        random = lan.parse_random(self.ask(commands.HELLO, now=now)[0].payload)
        (answer,) = self.ask(commands.LOGIN, lan.login(signing.lan_token(KEY, random)), now=now)
        assert lan.parse_login_result(answer.payload) == lan.LOGGED_IN

    def ask(self, command: int, payload: bytes = b"", packet_id: int = 1000, now: float = 1.0) -> list[frame.Frame]:
        answer = self.conversation.receive_data(frame.encode(packet_id, command, payload), now)
        assert answer is not None
        return frame.FrameReader().feed(answer)


def test_pairing_tells_the_code_only_while_the_window_is_open() -> None:
    (closed,) = Peer().ask(commands.PROVISION)
    (opened,) = Peer(CODE).ask(commands.PROVISION)

    assert ttlv.decode(closed.payload) == [(6, True), (7, PK.encode()), (8, DK.encode())]
    assert ttlv.decode(opened.payload) == [(6, True), (7, PK.encode()), (8, DK.encode()), (9, CODE.encode())]
    assert (opened.packet_id, opened.command) == (1000, commands.PROVISION_ANSWER)


def test_the_code_of_each_moment_counts() -> None:
    peer = Peer(CODE)
    peer.ask(commands.PROVISION)

    peer.identity = (PK, DK, None)

    (answer,) = peer.ask(commands.PROVISION)
    assert lan.parse_provision_answer(answer.payload).bind_code is None


def test_wifi_settings_are_answered_and_ignored() -> None:
    peer = Peer(CODE)

    (answer,) = peer.ask(commands.PROVISION, lan.provision_request("home", "12345678"))

    assert lan.parse_provision_answer(answer.payload).bind_code == CODE
    assert peer.logged == ["pairing: Wi-Fi settings are ignored"]


def test_a_device_without_product_answers_no_pairing() -> None:
    assert Peer(product_key="").ask(commands.PROVISION) == []


@pytest.mark.parametrize("payload", [b"\xff", bytes.fromhex("000b0001ff")])
def test_a_pairing_request_that_cannot_be_read_gets_no_answer(payload: bytes) -> None:
    assert Peer(CODE).ask(commands.PROVISION, payload) == []


def test_hello_gets_a_new_random_each_time() -> None:
    peer = Peer()

    randoms = {lan.parse_random(peer.ask(commands.HELLO, packet_id=number)[0].payload) for number in range(1, 6)}

    assert len(randoms) == 5


@pytest.mark.parametrize(
    "command",
    [
        commands.TSL_READ,
        commands.TSL_WRITE,
        commands.TRANSPARENT_DOWN,
        commands.STATUS_READ,
        commands.INFO_READ,
        commands.CONFIGURE,
        commands.BIND_CODE,
        commands.EXCEPTION_DOWN,
        commands.PING,
        commands.HEARTBEAT,
        commands.DISCOVER,
        0x7001,
        0x7016,
    ],
)
def test_nothing_else_is_answered_or_done_without_a_log_in(command: int) -> None:
    peer = Peer(CODE)

    assert peer.ask(command, bytes.fromhex("0009")) == []
    assert peer.asked == []


def test_requests_may_come_in_pieces_and_together() -> None:
    conversation = Peer(CODE).conversation
    data = frame.encode(1, commands.PROVISION) + b"junk" + frame.encode(2, commands.HELLO)

    out = b""
    for at in range(len(data)):
        out += conversation.receive_data(data[at : at + 1], 1.0) or b""

    assert [one.packet_id for one in frame.FrameReader().feed(out)] == [1, 2]


def test_a_connection_is_closed_when_it_has_asked_too_often() -> None:
    conversation = Peer().conversation
    request = frame.encode(1, commands.TSL_READ)

    assert conversation.receive_data(request * _conversation.MAX_REQUESTS, 1.0) == b""
    assert conversation.receive_data(request, 1.0) is None


def test_a_connection_is_closed_when_it_has_sent_noise_for_long() -> None:
    conversation = Peer().conversation
    noise = bytes(_conversation.MAX_BYTES // 64)

    answers = [conversation.receive_data(noise, 1.0) for _ in range(65)]

    assert answers == [b""] * 64 + [None]


def test_an_app_that_has_logged_in_may_send_as_much_as_it_likes_and_log_in_again() -> None:
    peer = Peer()
    peer.log_in(1.0)
    for _ in range(100):
        assert peer.conversation.receive_data(bytes(_conversation.MAX_BYTES // 64), 2.0) == b""

    assert peer.ask(commands.HELLO, now=3.0)
    peer.log_in(3.0)


def test_an_app_logs_in_again_on_the_connection_it_has_had_for_long() -> None:
    peer = Peer()
    peer.log_in(1.0)
    for now in range(10, 301, 10):
        assert peer.conversation.receive_data(frame.encode(7, commands.PING), float(now))

    peer.ask(commands.HELLO, now=301.0)
    assert peer.conversation.handle_timer(302.0) == b""
    peer.log_in(302.0)
    assert peer.conversation.handle_timer(303.0) == b""


def test_an_app_that_asks_for_a_random_and_does_not_log_in_again_is_closed() -> None:
    peer = Peer()
    peer.log_in(1.0)
    for number in range(_conversation.MAX_REQUESTS + 1):
        peer.conversation.receive_data(frame.encode(number + 1, commands.HELLO), 301.0)

    assert peer.conversation.receive_data(frame.encode(100, commands.HELLO), 301.0) is None
    assert peer.conversation.handle_timer(301.0 + _conversation.IDLE_S) is None


def test_a_connection_ends_when_it_is_silent_and_when_it_lasts_too_long() -> None:
    conversation = Peer().conversation
    assert conversation.next_timer() == _conversation.IDLE_S

    for now in range(10, 121, 10):
        conversation.receive_data(b"x", float(now))

    assert conversation.next_timer() == _conversation.LIFE_S
    assert conversation.handle_timer(_conversation.LIFE_S - 1) == b""
    assert conversation.handle_timer(_conversation.LIFE_S) is None


# --- sizes ---


def secret_frame(peer: Peer, size: int) -> bytes:
    """0x0023 with so many bytes of raw data, of an App that has logged in."""
    session = peer.conversation.session
    return frame.encode(7, commands.TRANSPARENT_DOWN, signing.lan_encrypt(KEY, session._iv, bytes(size)))


@pytest.mark.parametrize("size", [5000, lan.MAX_DATA, lan.MAX_FRAME - 9 - 16])
def test_who_has_logged_in_sends_frames_of_any_size_that_peers_agree_on(size: int) -> None:
    peer = Peer()
    peer.log_in(1.0)

    peer.conversation.receive_data(secret_frame(peer, size), 2.0)

    assert [len(decision[2]) for decision in peer.asked] == [size]
    assert peer.logged == []


def test_a_large_frame_may_come_together_with_the_log_in() -> None:
    peer = Peer()
    (hello,) = peer.ask(commands.HELLO)
    token = signing.lan_token(KEY, lan.parse_random(hello.payload))
    iv = lan.parse_random(hello.payload)
    large = frame.encode(7, commands.TRANSPARENT_DOWN, signing.lan_encrypt(KEY, iv, bytes(5000)))

    peer.conversation.receive_data(frame.encode(6, commands.LOGIN, lan.login(token)) + large, 1.0)

    assert [len(decision[2]) for decision in peer.asked] == [5000]
    assert peer.logged == []


def test_nor_is_a_stranger_given_more_by_the_session_that_it_had_in_the_same_piece() -> None:
    peer = Peer()
    peer.log_in(1.0)
    large = secret_frame(peer, 5000)

    peer.conversation.receive_data(frame.encode(6, commands.HELLO) + large, 2.0)

    assert peer.asked == []
    assert len(peer.logged) == 1


def test_a_larger_one_is_dropped_and_logged_each_time() -> None:
    peer = Peer()
    peer.log_in(1.0)

    for now in (2.0, 3.0):
        assert peer.conversation.receive_data(secret_frame(peer, 0x5500), now) == b""

    assert peer.asked == []
    sentence = f"a frame of {0x5500 + 16 + 9} bytes is dropped: at most {lan.MAX_FRAME} are taken"
    assert peer.logged == [sentence] * 2
    peer.conversation.receive_data(secret_frame(peer, 10), 4.0)
    assert len(peer.asked) == 1


def test_a_strangers_frames_stay_small_and_it_fills_no_log() -> None:
    peer = Peer()
    large = frame.encode(7, commands.LOGIN, bytes(_conversation.MAX_FRAME))

    for _ in range(5):
        assert peer.conversation.receive_data(large, 1.0) == b""

    assert len(peer.logged) == 1
    assert len(peer.conversation._reader._plain or b"") == 0


def test_who_says_hello_again_is_a_stranger_again() -> None:
    peer = Peer()
    peer.log_in(1.0)
    large = secret_frame(peer, 5000)
    peer.ask(commands.HELLO, now=2.0)

    peer.conversation.receive_data(large, 3.0)

    assert len(peer.logged) == 1


def test_a_small_interpreter_takes_smaller_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_platform, "MAX_SESSION_FRAME", 4096)
    peer = Peer()
    peer.log_in(1.0)

    peer.conversation.receive_data(secret_frame(peer, 5000), 2.0)

    assert peer.asked == []
    assert len(peer.logged) == 1


# --- what is not answered ---


@pytest.mark.parametrize("packet_id", [0, 0xFFFF])
@pytest.mark.parametrize("command", [commands.HELLO, commands.PROVISION, commands.LOGIN, commands.SEALED_ASK])
def test_packet_ids_that_nobody_may_send_are_not_echoed(command: int, packet_id: int) -> None:
    assert Peer(CODE).ask(command, packet_id=packet_id) == []


@pytest.mark.parametrize("packet_id", [0, 0xFFFF])
def test_nor_in_a_session(packet_id: int) -> None:
    peer = Peer()
    peer.log_in(1.0)

    assert peer.ask(commands.PING, packet_id=packet_id) == []
    assert peer.ask(commands.TSL_WRITE, packet_id=packet_id) == []


@pytest.mark.parametrize(
    "command", [commands.SEALED_ASK, commands.SEALED_PROOF, commands.AUTHENTICATE, commands.UNBIND]
)
def test_nor_is_any_other_question_of_a_stranger(command: int) -> None:
    peer = Peer(CODE)
    peer.log_in(1.0)

    assert peer.ask(command, b"\x00\x0b\x00\x01x") == []


def test_pairing_is_not_answered_in_the_clear_once_a_session_is_open() -> None:
    peer = Peer(CODE)
    peer.log_in(1.0)

    assert peer.ask(commands.PROVISION) == []
    assert peer.ask(commands.PROVISION, lan.provision_request("home", "12345678")) == []

    peer.ask(commands.HELLO)
    assert len(peer.ask(commands.PROVISION)) == 1
