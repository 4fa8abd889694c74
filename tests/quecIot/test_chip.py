"""The device as a BLE chip, without a radio: whom it lets in, what its administrator may do, what a refusal changes.

Frames are written by hand from the protocol document (short-range.md D.6); its vectors are in ble-binding.json.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from quecIot import _chip_accounts, _delays
from quecIot._ble import Central
from quecIot._chip import ChipDoor, ChipHost, ChipPeripheral
from quecIot._chip_accounts import Accounts
from tests.quecIot.app_by_hand import build, cut
from tests.quecIot.bench import CODE, PK, Bench

MAC = "aabbccddeeff"
KEY, SECOND, THIRD = bytes(range(16)), bytes(range(16, 32)), bytes(range(32, 48))
ASK = bytes.fromhex("000b0010")  # field 1, 16 bytes
ASKED_BY_DOCUMENT = bytes.fromhex("aaaa001f6400018011000b0010000102030405060708090a0b0c0d0e0f001a0201e240")
REFUSED = bytes.fromhex("0028")  # field 5, false
DONE = bytes.fromhex("0029")
YES, NO = bytes.fromhex("0011"), bytes.fromhex("0010")  # field 2


class Chip:
    """A device, and its Apps; `ask` and `tell` are an App's side, by hand."""

    def __init__(self, device_key: str = MAC, product_key: str = PK) -> None:
        self.bench = Bench(secret="")
        self.bench.store.save({"device_key": device_key, "product_key": product_key})
        self.now = 0.0
        self.asked: list[Any] = []
        self.random: dict[int, bytes] = {}
        self.build()

    def build(self) -> None:
        profile, window = self.bench.profile, self.bench.window
        self.door = ChipDoor(contextlib.nullcontext(), Accounts(profile), window, self.bench.log)
        self.peripheral = ChipPeripheral(
            ChipHost(lambda: (profile.product_key, profile.device_key, None), self.door, self.carry_out),
            lambda: False,
            lambda: window.ends_at(self.now),
            4,
            self.bench.entropy,
            self.bench.log,
        )

    def restart(self) -> None:
        self.bench.restart()
        self.build()

    def carry_out(self, decision: Any) -> bytes:
        self.asked.append(decision)
        return b""

    def open_window(self, seconds: int = 60) -> None:
        self.bench.window.open(CODE, seconds, self.now)

    def kept(self) -> tuple[list[bytes], int | None]:
        values = self.bench.store.values
        return [bytes.fromhex(key) for key in values["chip_accounts"]], values["chip_pin"]

    def connect(self, source: str = "C0:00:00:00:00:01") -> Central:
        central = self.peripheral.connected(source, self.now)
        assert central is not None
        return central

    def ask(self, central: Central, raw: bytes) -> list[tuple[int, int, bytes]]:
        assert self.peripheral.written(central, raw, self.now)
        out = b""
        while chunk := central.next_chunk():
            out += chunk
        return cut(out)[0]

    def show(self, central: Central, key: bytes = KEY, pin: bytes = b"") -> bytes:
        """0x8011; the data of 0x801C."""
        ((number, command, data),) = self.ask(central, build(7, 0x8011, ASK + key + pin))
        assert (number, command) == (7, 0x801C)
        if data[:4] == bytes.fromhex("00230010"):
            self.random[id(central)] = data[4:20]
        return data

    def tell(self, central: Central, command: int, plain: bytes = b"") -> list[tuple[int, bytes]]:
        """Something encrypted; commands and decrypted data of what came."""
        random = self.random[id(central)]
        answers = self.ask(central, build(8, command, seal(random, plain) if plain else b""))
        return [(answer, unseal(random, data) if data else b"") for _, answer, data in answers]

    def owned(self) -> Central:
        """The administrator's App, which has just made itself that."""
        self.open_window()
        central = self.connect()
        assert self.show(central)[:4] == bytes.fromhex("00230010")
        return central


def _cipher(random: bytes) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES(b"!!" + MAC.upper().encode() + b"!!"), modes.CBC(random))


def seal(random: bytes, plain: bytes) -> bytes:
    pad = 16 - len(plain) % 16
    encryptor = _cipher(random).encryptor()
    return encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()


def unseal(random: bytes, sealed: bytes) -> bytes:
    decryptor = _cipher(random).decryptor()
    padded = decryptor.update(sealed) + decryptor.finalize()
    return padded[: -padded[-1]]


def listed(answers: list[tuple[int, bytes]]) -> list[bytes]:
    ((command, data),) = answers
    assert command == 0x8013
    assert [data[at : at + 4] for at in range(0, len(data), 20)] == [ASK] * (len(data) // 20)
    return [data[at + 4 : at + 20] for at in range(0, len(data), 20)]


# --- the administrator ---


def test_the_documents_first_key_in_the_window_is_the_administrators_and_its_pin_is_kept() -> None:
    chip = Chip()
    chip.open_window()

    ((number, command, data),) = chip.ask(chip.connect(), ASKED_BY_DOCUMENT)

    assert (number, command) == (0x0001, 0x801C)
    # 4 random, 16 bytes; 6 pair mode "just works"; 3 true, never the PIN itself
    assert (data[:4], data[20:]) == (bytes.fromhex("00230010"), bytes.fromhex("003200020019"))
    assert chip.kept() == ([KEY], 123456)
    assert not any("123456" in line or KEY.hex() in line for line in chip.bench.logged)


def test_without_a_pin_the_answer_says_of_none() -> None:
    chip = Chip()
    chip.open_window()

    assert chip.show(chip.connect())[20:] == bytes.fromhex("00320002")
    assert chip.kept() == ([KEY], None)


def test_with_the_window_closed_nobody_becomes_administrator() -> None:
    chip = Chip()
    central = chip.connect()
    assert chip.show(central) == REFUSED
    chip.open_window(60)
    chip.now = 60.0
    late = chip.connect()

    assert chip.show(late) == REFUSED
    assert chip.kept() == ([], None)


def test_the_window_closes_behind_the_first_key() -> None:
    chip = Chip()
    chip.owned()

    assert chip.bench.window.code(chip.now) is None
    assert chip.show(chip.connect("C0:00:00:00:00:02"), SECOND) == REFUSED
    assert chip.kept() == ([KEY], None)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", ASK + KEY[:15], bytes.fromhex("000b000f") + KEY[:15], ASK + KEY + bytes.fromhex("001a0201869f")],
    ids=["nothing", "no TTLV", "cut off", "15 bytes", "a PIN of 99999"],
)
def test_what_cannot_be_read_is_refused_and_the_window_stays_open(data: bytes) -> None:
    chip = Chip()
    chip.open_window()

    assert chip.ask(chip.connect(), build(7, 0x8011, data)) == [(7, 0x801C, REFUSED)]
    assert (chip.kept(), chip.bench.window.code(chip.now)) == (([], None), CODE)


def test_a_key_that_cannot_be_stored_is_refused_and_nothing_is_changed() -> None:
    chip = Chip()
    chip.open_window()
    chip.bench.files.is_writable = False
    central = chip.connect()

    assert chip.show(central) == REFUSED
    assert (chip.kept(), chip.bench.window.code(chip.now)) == (([], None), CODE)
    assert any("BLE chip: the store" in line for line in chip.bench.logged)
    chip.bench.files.is_writable = True
    assert chip.show(central) != REFUSED


def test_accounts_and_pin_are_there_after_a_restart() -> None:
    chip = Chip()
    chip.open_window()
    central = chip.connect()
    chip.show(central, pin=bytes.fromhex("001a0201e240"))
    assert chip.tell(central, 0x8014, ASK + SECOND + YES) == [(0x801D, DONE)]

    chip.restart()

    assert chip.kept() == ([KEY, SECOND], 123456)
    assert chip.show(chip.connect(), SECOND) != REFUSED
    assert chip.show(chip.connect("C0:00:00:00:00:02"), THIRD) == REFUSED


def test_a_pin_that_comes_later_changes_none() -> None:
    chip = Chip()
    central = chip.owned()

    chip.show(central, pin=bytes.fromhex("001a0201e240"))

    assert chip.kept() == ([KEY], None)


# --- who comes back ---


def test_an_unknown_key_costs_its_address_a_growing_delay_and_nobody_else() -> None:
    chip = Chip()
    owner = chip.owned()
    stranger = chip.connect("C0:00:00:00:00:66")

    def tries(key: bytes, at: float) -> bytes:
        chip.now = at
        return chip.show(stranger, key)

    for _ in range(_delays.FREE_COUNT + 1):
        assert tries(SECOND, 0.0) == REFUSED
    assert chip.tell(owner, 0x8014, ASK + SECOND + YES) == [(0x801D, DONE)]
    chip.peripheral.disconnected(owner)
    assert tries(SECOND, 0.9) == REFUSED  # within the wait even the right one
    assert tries(THIRD, 1.0) == REFUSED
    assert tries(SECOND, 2.9) == REFUSED
    assert tries(SECOND, 3.0) != REFUSED
    chip.peripheral.disconnected(stranger)
    assert chip.show(chip.connect(), KEY) != REFUSED


def test_a_right_key_ends_the_growth_of_the_delay() -> None:
    chip = Chip()
    chip.peripheral.disconnected(chip.owned())
    central = chip.connect()
    for now, key, is_refused in (
        *[(0.0, SECOND, True)] * (_delays.FREE_COUNT + 1),
        (1.0, SECOND, True),
        (2.9, KEY, True),
        (3.0, KEY, False),
        *[(4.0, SECOND, True)] * (_delays.FREE_COUNT + 1),
        (5.0, KEY, False),
    ):
        chip.now = now
        assert (chip.show(central, key) == REFUSED) is is_refused


def test_while_it_is_unbound_there_is_nothing_to_guess_and_no_delay() -> None:
    chip = Chip()
    central = chip.connect()
    for _ in range(5):
        assert chip.show(central) == REFUSED
    chip.open_window()

    assert chip.show(central) != REFUSED


def test_one_app_at_a_time() -> None:
    chip = Chip()
    owner = chip.owned()
    chip.tell(owner, 0x8014, ASK + SECOND + YES)
    second = chip.connect("C0:00:00:00:00:02")

    assert chip.show(second, SECOND) == REFUSED
    assert chip.tell(owner, 0x0013, bytes.fromhex("0009")) == [(0x7036, bytes.fromhex("000a0000"))]
    chip.peripheral.disconnected(owner)
    assert chip.show(second, SECOND) != REFUSED


def test_an_app_that_shows_another_key_is_only_that_from_then_on() -> None:
    chip = Chip()
    central = chip.owned()
    chip.tell(central, 0x8014, ASK + SECOND + YES)

    assert chip.show(central, SECOND) != REFUSED
    assert chip.tell(central, 0x8012) == [(0x8013, REFUSED)]
    assert chip.show(central, THIRD) == REFUSED
    assert chip.ask(central, build(9, 0x8012)) == []


def test_one_that_has_been_there_long_may_show_its_key_again() -> None:
    chip = Chip()
    central = chip.owned()
    for now in range(10, 300, 10):
        chip.now = float(now)
        assert [command for _, command, _ in chip.ask(central, build(9, 0x7037))] == [0x7038]

    assert chip.show(central) != REFUSED
    assert chip.show(central, SECOND) == REFUSED
    assert chip.peripheral.handle_timer(chip.now) == []  # it has the time to show another


# --- the administrator's commands ---


def test_the_administrator_lists_grants_and_revokes() -> None:
    chip = Chip()
    owner = chip.owned()

    assert chip.tell(owner, 0x8014, ASK + SECOND + YES) == [(0x801D, DONE)]
    assert chip.tell(owner, 0x8014, ASK + SECOND + YES) == [(0x801D, DONE)]
    assert listed(chip.tell(owner, 0x8012)) == [KEY, SECOND]
    assert chip.tell(owner, 0x8014, ASK + SECOND + NO) == [(0x801D, DONE)]
    assert chip.tell(owner, 0x8014, ASK + THIRD + NO) == [(0x801D, DONE)]
    assert listed(chip.tell(owner, 0x8012)) == [KEY]
    assert chip.kept() == ([KEY], None)


def test_a_list_may_be_asked_for_with_one_block_of_nothing() -> None:
    chip = Chip()
    owner = chip.owned()

    ((_, command, data),) = chip.ask(owner, build(9, 0x8012, seal(chip.random[id(owner)], b"")))

    assert (command, unseal(chip.random[id(owner)], data)) == (0x8013, ASK + KEY)


def test_no_other_account_may() -> None:
    chip = Chip()
    owner = chip.owned()
    chip.tell(owner, 0x8014, ASK + SECOND + YES)
    chip.peripheral.disconnected(owner)
    member = chip.connect()
    chip.show(member, SECOND)

    assert chip.tell(member, 0x8012) == [(0x8013, REFUSED)]
    assert chip.tell(member, 0x8014, ASK + THIRD + YES) == [(0x801D, REFUSED)]
    assert chip.tell(member, 0x8014, ASK + KEY + NO) == [(0x801D, REFUSED)]
    assert chip.tell(member, 0x8014, ASK + SECOND + NO) == [(0x801D, REFUSED)]
    assert chip.kept() == ([KEY, SECOND], None)


def test_a_stranger_may_nothing() -> None:
    chip = Chip()
    chip.owned()
    stranger = chip.connect("C0:00:00:00:00:66")

    for command, data in ((0x8012, b""), (0x8014, ASK + THIRD + YES), (0x0013, bytes.fromhex("0009")), (0x7037, b"")):
        assert chip.ask(stranger, build(9, command, data)) == []
        assert chip.ask(stranger, build(9, command, seal(bytes(16), data))) == []
    assert (chip.kept(), chip.asked) == (([KEY], None), [])


@pytest.mark.parametrize("data", [b"\xff", ASK + SECOND, YES, ASK + SECOND + bytes.fromhex("00120001")])
def test_a_grant_that_cannot_be_read_is_refused_and_nothing_is_changed(data: bytes) -> None:
    chip = Chip()

    assert chip.tell(chip.owned(), 0x8014, data) == [(0x801D, REFUSED)]
    assert chip.kept() == ([KEY], None)


def test_accounts_are_bounded() -> None:
    chip = Chip()
    owner = chip.owned()
    for number in range(1, _chip_accounts.MAX_ACCOUNTS):
        assert chip.tell(owner, 0x8014, ASK + bytes([number]) * 16 + YES) == [(0x801D, DONE)]
    full = chip.kept()

    assert chip.tell(owner, 0x8014, ASK + b"x" * 16 + YES) == [(0x801D, REFUSED)]
    assert chip.kept() == full
    assert len(full[0]) == _chip_accounts.MAX_ACCOUNTS
    assert listed(chip.tell(owner, 0x8012)) == full[0]
    assert chip.tell(owner, 0x8014, ASK + b"\x01" * 16 + NO) == [(0x801D, DONE)]
    assert chip.tell(owner, 0x8014, ASK + b"x" * 16 + YES) == [(0x801D, DONE)]


@pytest.mark.parametrize("change", [SECOND + YES, SECOND + NO, KEY + NO], ids=["grant", "revoke", "revoke itself"])
def test_a_change_that_cannot_be_stored_is_refused_and_nothing_is_changed(change: bytes) -> None:
    chip = Chip()
    owner = chip.owned()
    if change == SECOND + NO:
        chip.tell(owner, 0x8014, ASK + SECOND + YES)
    before, file = chip.kept(), dict(chip.bench.files.content)
    chip.bench.files.is_writable = False

    assert chip.tell(owner, 0x8014, ASK + change) == [(0x801D, REFUSED)]
    assert (chip.kept(), chip.bench.files.content) == (before, file)
    assert listed(chip.tell(owner, 0x8012)) == before[0]


def test_an_administrator_that_revokes_itself_is_told_and_the_device_is_unbound() -> None:
    chip = Chip()
    chip.open_window()
    owner = chip.connect()
    chip.show(owner, pin=bytes.fromhex("001a0201e240"))
    chip.tell(owner, 0x8014, ASK + SECOND + YES)

    assert chip.tell(owner, 0x8014, ASK + KEY + NO) == [(0x801D, DONE)]
    assert chip.peripheral.handle_timer(chip.now) == []  # it is to hear so, and is a stranger now
    assert chip.ask(owner, build(9, 0x8012)) == []
    assert chip.kept() == ([], None)
    assert chip.show(owner) == REFUSED
    assert chip.show(chip.connect("C0:00:00:00:00:02"), SECOND) == REFUSED


def test_a_session_ends_with_its_account() -> None:
    chip = Chip()
    owner = chip.owned()

    chip.bench.profile.forget()  # rst()

    assert chip.ask(owner, build(9, 0x7037)) == []
    assert chip.peripheral.handle_timer(chip.now) == [owner]
    assert chip.kept() == ([], None)


@pytest.mark.parametrize(
    "change",
    [lambda profile: profile.set_product("p2222X", "x"), lambda profile: profile.set_device("aabbccddee00", "")],
    ids=["another product", "another device key"],
)
def test_a_device_that_is_another_one_has_no_accounts(change: Any) -> None:
    chip = Chip()
    chip.owned()

    change(chip.bench.profile)

    assert chip.kept() == ([], None)


# --- the session ---


def test_the_documents_write_is_done_when_its_random_is_the_sessions() -> None:
    chip = Chip()
    owner = chip.owned()
    owner.conversation.session._iv = bytes(range(0x10, 0x20)).decode()

    ((number, command, data),) = chip.ask(owner, bytes.fromhex("aaaa00155600020013ef882282b14d334c0f4667bb44c8988e"))

    assert (number, command, unseal(bytes(range(0x10, 0x20)), data)) == (2, 0x7036, bytes.fromhex("000a0000"))
    assert chip.asked == [("event", 10210, {1: True})]


def test_reads_raw_data_and_reports_are_as_in_any_session() -> None:
    chip = Chip()
    owner = chip.owned()

    assert chip.tell(owner, 0x0011, bytes.fromhex("0001")) == [(0x0012, b"")]
    assert chip.tell(owner, 0x0023, b"on") == []
    chip.peripheral.answer_read(8, bytes.fromhex("0009"))
    chip.peripheral.report(0x0024, b"raw")

    random = chip.random[id(owner)]
    out = cut(b"".join(iter(owner.next_chunk, b"")))[0]
    assert [(command, unseal(random, data)) for _, command, data in out] == [
        (0x0014, bytes.fromhex("0009")),
        (0x0024, b"raw"),
    ]
    assert chip.asked == [("event", 10211, [8, [1]]), ("event", 10200, b"on")]


def test_what_another_connection_encrypted_is_not_done() -> None:
    chip = Chip()
    first = chip.owned()
    overheard = build(8, 0x8014, seal(chip.random[id(first)], ASK + THIRD + YES))
    chip.peripheral.disconnected(first)
    second = chip.connect()
    chip.show(second)

    assert chip.ask(second, overheard) in ([], [(8, 0x801D, seal(chip.random[id(second)], REFUSED))])
    assert chip.kept() == ([KEY], None)


@pytest.mark.parametrize("command", [0x7010, 0x7032, 0x7034, 0x7016, 0x7063, 0x70E0, 0x70E2])
def test_the_later_generations_commands_have_no_answer(command: int) -> None:
    chip = Chip()
    chip.open_window()

    assert chip.ask(chip.connect(), build(9, command)) == []


@pytest.mark.parametrize("packet_id", [0, 0xFFFF])
def test_packet_ids_that_none_may_use_are_not_served(packet_id: int) -> None:
    chip = Chip()
    chip.open_window()

    assert chip.ask(chip.connect(), build(packet_id, 0x8011, ASK + KEY)) == []
    assert chip.kept() == ([], None)


# --- what it advertises ---


def test_it_advertises_mac_and_product_key_until_it_is_bound_and_then_the_mac_alone() -> None:
    chip = Chip()
    unbound = chip.peripheral.advertisement()
    owner = chip.owned()
    used = chip.peripheral.advertisement()
    chip.peripheral.disconnected(owner)
    bound = chip.peripheral.advertisement()

    flags, mac = bytes.fromhex("020106"), bytes.fromhex(MAC)
    name = bytes.fromhex("03030a18") + bytes([14, 9]) + b"QUEC_BLE_EEFF"
    assert unbound == (flags + bytes([15, 0xFF]) + b"QU" + mac + PK.encode(), name)
    assert used is None
    assert bound == (flags + bytes([9, 0xFF]) + b"QU" + mac, name)


@pytest.mark.parametrize("device_key", ["861122334455667", "aabbccddeefg"])
def test_a_device_key_that_is_no_mac_address_is_refused_with_a_line_in_the_log(device_key: str) -> None:
    chip = Chip(device_key)
    chip.open_window()

    assert [chip.peripheral.advertisement() for _ in range(3)] == [None] * 3
    assert chip.show(chip.connect()) == REFUSED
    assert chip.kept() == ([], None)
    assert [line for line in chip.bench.logged if "12 hex digits" in line] == [
        "BLE: the device cannot be found, QUECIOT_BLE_CHIP=1 needs a device key of 12 hex digits: it is the MAC address"
    ]


def test_a_product_key_that_does_not_fit_is_refused_while_it_would_be_advertised() -> None:
    chip = Chip(product_key="p1115XYZ")
    assert chip.peripheral.advertisement() is None

    chip.peripheral.disconnected(chip.owned())

    assert chip.peripheral.advertisement() is not None
