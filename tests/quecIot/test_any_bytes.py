"""Whatever bytes arrive, from the server, on the LAN or over BLE: no exception, no lost state, no command done."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quecbind.wire import frame, mqtt, ttlv
from tests.quecIot.app_by_hand import build
from tests.quecIot.bench import DK, DS, PK, Bench
from tests.quecIot.test_chip import KEY, Chip, seal
from tests.quecIot.test_conversation import Peer

VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40) | st.text("abc;:/.\0é", max_size=40),
    lambda inner: st.lists(st.tuples(st.integers(1, 16), inner), min_size=1, max_size=5),
    max_leaves=8,
)
FIELDS = st.lists(st.tuples(st.integers(1, 16), VALUES), min_size=1, max_size=8)
COMMANDS = st.sampled_from([0x11, 0x13, 0x23, 0x31, 0x41, 0xA3, 0xB3, 0xB4, 0x111]) | st.integers(0, 0xFFFF)
PAYLOADS = FIELDS.map(ttlv.encode) | st.binary(max_size=60)


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_any_bytes_of_a_server(chunks: list[bytes]) -> None:
    bench = Bench()
    bench.ready()

    for chunk in chunks:
        bench.agent.receive_data(chunk, bench.now)

    bench.advance(1)
    assert bench.store.values["device_secret"] == DS


@given(st.lists(st.tuples(COMMANDS, PAYLOADS, st.integers(0, 2)), max_size=10), st.booleans())
def test_any_commands_of_a_server(commands: list[tuple[int, bytes, int]], enrolling: bool) -> None:
    bench = Bench(secret="" if enrolling else DS)
    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    for command, payload, qos in commands:
        bench.receive(bench.downlink(command, payload, qos=qos))
        if bench.agent.link() is None:
            bench.advance(2000)
            bench.connect()

    bench.events()
    assert (bench.store.values["product_key"], bench.store.values["product_secret"]) == (PK, "d2c5Q1FsVWpwT1k3")
    assert bench.profile.device_key == DK


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_any_bytes_of_a_peer_on_the_local_network(chunks: list[bytes]) -> None:
    conversation = Peer().conversation

    for chunk in chunks:
        conversation.receive_data(chunk, 1.0)


@given(COMMANDS, PAYLOADS)
def test_any_request_of_a_peer_on_the_local_network(command: int, payload: bytes) -> None:
    answers = Peer().ask(command, payload)

    assert all(answer.command in (0x7011, 0x7033, 0x7035) for answer in answers)
    assert sum(len(frame.encode(1, answer.command, answer.payload)) for answer in answers) < 120


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_any_bytes_of_a_peer_of_a_ble_chip(chunks: list[bytes]) -> None:
    chip = Chip()
    chip.owned()
    stranger = chip.connect("C0:00:00:00:00:66")

    for chunk in chunks:
        chip.peripheral.written(stranger, chunk, 1.0)

    assert (chip.kept(), chip.asked) == (([KEY], None), [])


@given(st.sampled_from([0x8011, 0x8012, 0x8014]) | COMMANDS, PAYLOADS, st.booleans())
def test_any_request_of_a_peer_of_a_ble_chip(command: int, payload: bytes, is_sealed: bool) -> None:
    chip = Chip()
    chip.owned()
    stranger = chip.connect("C0:00:00:00:00:66")

    answers = chip.ask(stranger, build(1, command, seal(bytes(16), payload) if is_sealed else payload))

    assert all(answer == (1, 0x801C, bytes.fromhex("0028")) for answer in answers)
    assert (chip.kept(), chip.asked) == (([KEY], None), [])
