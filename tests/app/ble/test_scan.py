"""What a scan makes of what is in the air, and how an exchange bounds a peer, on a radio that is a list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from quecbind.app.ble.exchange import exchange
from quecbind.app.ble.link import open_link
from quecbind.app.ble.pairing import pair
from quecbind.app.ble.radio import CONNECT_S, RadioError, Sighting
from quecbind.app.ble.scan import MAX_FOUND, found_in, scan
from quecbind.app.bounded import MAX_ANSWER
from quecbind.app.errors import PairingError, PathLostError
from quecbind.app.pairing import offer_of
from quecbind.wire import ble_advertising, commands, frame, lan

PK, DK = "p11abc", "aabbccddeeff"
FULL = ble_advertising.manufacturer_data(PK, DK, ble_advertising.IS_BINDABLE, ble_advertising.BLE)


class Connection:
    def __init__(self, says: list[bytes], mtu: int = 23) -> None:
        self.says, self.mtu = says, mtu
        self.written: list[bytes] = []
        self.is_closed = False

    async def write(self, data: bytes) -> None:
        if self.is_closed:
            raise RadioError("closed")
        self.written.append(data)

    async def indication(self) -> bytes:
        if not self.says:
            await asyncio.Event().wait()
        return self.says.pop(0)

    async def close(self) -> None:
        self.is_closed = True


class ListRadio:
    def __init__(self, *sightings: Sighting, says: list[bytes] | None = None) -> None:
        self.sightings = sightings
        self.connection = Connection(says or [])
        self.is_broken = False

    async def scan(self, seconds: float, seen: Callable[[Sighting], bool]) -> None:
        if self.is_broken:
            raise RadioError("no radio")
        for sighting in self.sightings:
            if seen(sighting):
                return

    async def connect(self, address: str, seconds: float = CONNECT_S) -> Connection:
        if self.is_broken:
            raise RadioError("nobody there")
        return self.connection


def sighting(data: bytes, address: str = "a") -> Sighting:
    return Sighting(address, "", data, -50)


def test_old_devices_without_flags_are_devices_too() -> None:
    device = found_in(sighting(FULL[:-2]))

    assert device is not None
    assert (device.device_key, device.is_bindable, device.is_ble_only) == (DK, True, None)


@pytest.mark.parametrize("device_key", [DK, DK.upper(), "861000000000001"])
def test_how_an_old_device_writes_its_key_is_for_who_knows_it_to_say(device_key: str) -> None:
    device = found_in(sighting(ble_advertising.manufacturer_data(PK, device_key, 0, 7)[:-2]))

    assert device is not None
    named = device.called(device_key)
    assert named is not None
    assert (named.device_key, named.address) == (device_key, "a")
    assert device.called("0011") is None
    assert device.called("no hex") is None
    # When it pairs it writes it out, and that is the key to bind with.
    offer = offer_of(device, lan.Pairing(True, PK, device_key, "0123456789ABCDEF"))
    assert offer.device == named
    assert named.called(device_key) == named
    assert device_key == DK or named.called(device.device_key) is None


def test_a_device_that_says_how_its_key_is_written_has_no_other() -> None:
    device = found_in(sighting(FULL))

    assert device is not None
    assert device.called(DK) is device
    assert device.called(DK.upper()) is None


@pytest.mark.parametrize("data", [b"", b"EC", b"\x4c\x00", FULL[:9]])
def test_what_is_no_device_is_none(data: bytes) -> None:
    assert found_in(sighting(data)) is None


async def test_the_last_word_of_each_sender_counts() -> None:
    closed = ble_advertising.manufacturer_data(PK, DK, 0, ble_advertising.BLE)
    radio = ListRadio(sighting(FULL), sighting(closed), sighting(FULL, "b"))

    found = await scan(radio, 1.0)

    assert [(one.address, one.is_bindable) for one in found] == [("a", False), ("b", True)]


async def test_a_crowd_of_senders_is_bounded_and_a_scan_ends_early() -> None:
    crowd = ListRadio(*[sighting(FULL, str(number)) for number in range(MAX_FOUND + 9)])

    assert len(await scan(crowd, 1.0)) == MAX_FOUND
    assert len(await scan(crowd, 1.0, lambda one: one.address == "3")) == 4


async def test_a_radio_that_is_not_there_is_an_error_in_words() -> None:
    radio = ListRadio()
    radio.is_broken = True

    with pytest.raises(PairingError, match="no radio"):
        await scan(radio, 1.0)
    with pytest.raises(PairingError, match="nobody there"):
        await pair(radio, "a")
    with pytest.raises(PathLostError, match="nobody there"):
        await open_link(radio, "a", bytes(16))


async def test_a_question_is_cut_at_the_mtu_and_the_connection_closed_behind_it() -> None:
    answer = frame.encode(1, commands.PROVISION_ANSWER, lan.provision_answer(PK, DK))
    radio = ListRadio(says=[answer[at : at + 20] for at in range(0, len(answer), 20)])

    pairing = await pair(radio, "a", "home", "12345678")

    assert (pairing.device_key, pairing.bind_code) == (DK, None)
    assert [len(data) <= 20 for data in radio.connection.written] == [True] * len(radio.connection.written)
    (request,) = frame.FrameReader().feed(b"".join(radio.connection.written))
    assert lan.parse_provision_request(request.payload) == lan.Wifi("home", "12345678")
    assert radio.connection.is_closed


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ([b""], "ended the connection"),
        ([b"junk" * 5] * (MAX_ANSWER // 20 + 1), "too much"),
        ([frame.encode(1, commands.PROVISION_ANSWER, b"\xff")], "cannot be read"),
        ([frame.encode(1, commands.PROVISION_ANSWER, lan.provision_refusal())], "refused"),
    ],
)
async def test_a_peer_that_answers_badly_is_an_error_in_words(says: list[bytes], why: str) -> None:
    with pytest.raises(PairingError, match=why):
        await pair(ListRadio(says=says), "a")


async def test_silence_is_asked_again_and_then_an_error() -> None:
    radio = ListRadio()
    async with exchange(radio, "a") as asking:
        with pytest.raises(PairingError, match="in time"):
            await asking.ask(commands.HELLO, b"", commands.RANDOM, tries=3, wait_s=0.0)

    assert len(radio.connection.written) == 3


class SlowToJoin(Connection):
    """Answers once it has joined the network."""

    def __init__(self, answer: bytes) -> None:
        super().__init__([answer])
        self.has_joined = asyncio.Event()

    async def indication(self) -> bytes:
        await self.has_joined.wait()
        return await super().indication()


async def test_a_device_that_joins_its_network_first_and_answers_then_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("quecbind.app.ble.exchange.ANSWER_S", 0.001)
    radio = ListRadio()
    answer = lan.provision_answer(PK, DK, "0123456789ABCDEF")
    radio.connection = slow = SlowToJoin(frame.encode(1000, commands.PROVISION_ANSWER, answer))

    giving = asyncio.create_task(pair(radio, "a", "home", "correct horse"))
    await asyncio.wait([giving], timeout=0.1)  # all the tries of a question that is answered at once
    slow.has_joined.set()

    assert (await giving).bind_code == "0123456789ABCDEF"
    assert len([piece for piece in slow.written if piece.startswith(b"\xaa\xaa")]) == 1, "it is not told to begin anew"
