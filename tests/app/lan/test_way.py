"""The device among those that answer for it on the local network."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from quecbind.app import Device as AppDevice
from quecbind.app.errors import AppError, KeyRefusedError, PathLostError
from quecbind.app.keys import Keys
from quecbind.app.lan import FoundDevice
from quecbind.app.lan.way import LanWay
from quecbind.app.path import CLOUD, Path
from tests.app.device_by_hand import Device

pytestmark = pytest.mark.enable_socket

KEY = bytes(range(16))
PK, DK = "p11abc", "aabbccddeeff"


def found(device: Device, product_key: str = PK, device_key: str = DK) -> FoundDevice:
    return FoundDevice(product_key, device_key, "127.0.0.1", device.port, None, 1)


class Network:
    """Those who answer, in their order; a search that has enough ends with the first of them."""

    def __init__(self, *answers: FoundDevice) -> None:
        self.answers = answers
        self.search_count = 0

    async def discover(self, seconds: float, enough: Callable[[FoundDevice], bool] | None = None) -> list[FoundDevice]:
        self.search_count += 1
        heard: list[FoundDevice] = []
        for answer in self.answers:
            heard.append(answer)
            if enough is not None and enough(answer):
                break
        return heard


def way(network: Network, key: bytes = KEY) -> LanWay:
    async def present() -> bytes:
        return key

    return LanWay(PK, DK, Keys(present), network)


async def test_the_device_is_taken_from_all_that_answer() -> None:
    with Device(KEY) as device, Device(b"x" * 16) as other:
        network = Network(found(other, device_key="000000000000"), found(other, "p22xyz"), found(device))
        path = await way(network).open()

        assert await path.read([38]) == {38: True}
        await path.close()
        assert network.search_count == 1


async def test_an_impostor_that_answers_first_does_not_hide_the_device() -> None:
    with Device(b"x" * 16) as impostor, Device(KEY) as device:
        path = await way(Network(found(impostor), found(device))).open()

        assert await path.read([38]) == {38: True}
        await path.close()


async def test_an_impostor_that_takes_the_log_in_sends_the_app_elsewhere() -> None:
    class Elsewhere:
        name = CLOUD
        is_asked = False

        async def open(self) -> Path:
            self.is_asked = True
            raise PathLostError("the platform cannot be reached")

    elsewhere = Elsewhere()
    with Device(KEY, takes_any_token=True) as impostor:
        async with AppDevice(PK, DK, [way(Network(found(impostor))), elsewhere]) as device:
            with pytest.raises(AppError):
                await device.write({38: True}, seconds=0.2)

    assert elsewhere.is_asked


async def test_without_an_answer_there_is_no_path_and_one_search() -> None:
    network = Network()

    with pytest.raises(PathLostError, match="did not answer"):
        await way(network).open()
    assert network.search_count == 1


async def test_a_device_with_another_key_is_a_refusal() -> None:
    with Device(KEY) as device, pytest.raises(KeyRefusedError):
        await way(Network(found(device)), b"x" * 16).open()
