"""The scripted device against a real Developer Center in a process of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from quecbind.testing.device import DeviceError, FakeDevice, LinkClosedError
from quecbind.wire import commands, mqtt, signing, ttlv
from tests.e2e.center_process import CenterProcess

pytestmark = pytest.mark.enable_socket

DEVICE_KEY = "861122334455667"


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CenterProcess]:
    directory: Path = tmp_path_factory.mktemp("center")
    center = CenterProcess(directory / "data", directory / "log").start()
    yield center
    assert center.stop() == 0


@pytest.fixture
def product(center: CenterProcess) -> Any:
    return center.make("/products", name="lamp")


@pytest_asyncio.fixture
async def device(center: CenterProcess, product: Any) -> AsyncIterator[FakeDevice]:
    async with FakeDevice(
        center.host, center.mqtt_port, product["product_key"], product["product_secret"], DEVICE_KEY
    ) as device:
        yield device


async def test_it_enrols_connects_and_reports_a_code(device: FakeDevice, center: CenterProcess, product: Any) -> None:
    secret = await device.enrol()
    await device.connect()
    await device.report_bind_code("0123456789ABCDEF", seconds_left=60, bind_secret="FEDCBA9876543210")

    seen = center.admin("device", "show", product["product_key"], DEVICE_KEY)
    assert len(secret) == 32
    assert seen["state"] == "active"
    assert seen["is_online"]
    assert seen["bind_window_end_at"] is not None


async def test_it_proves_a_reset(device: FakeDevice) -> None:
    first = await device.enrol()
    await device.connect()

    second = await device.enrol(reset_key=signing.reset_key(first, DEVICE_KEY))

    assert second != first


async def test_it_says_which_exception_it_got(device: FakeDevice) -> None:
    await device.enrol()
    await device.connect()

    with pytest.raises(DeviceError, match="10422"):
        await device.enrol()


async def test_it_speaks_an_encrypted_session(device: FakeDevice, center: CenterProcess, product: Any) -> None:
    await device.enrol(session_flag=True)
    assert device.session_key is not None
    await device.connect(session_flag=True)
    assert device.session_key is not None

    await device.publish(commands.STATUS_REPORT, ttlv.encode([(1, 77)]))

    assert center.admin("device", "show", product["product_key"], DEVICE_KEY)["status"] == {"1": 77}


async def test_it_waits_for_the_center_to_close(device: FakeDevice) -> None:
    await device.enrol()
    device.send(mqtt.Connack())  # what no device sends

    await asyncio.wait_for(device.closed(), 10)


async def test_it_notices_a_refused_log_in(device: FakeDevice) -> None:
    device.device_secret = "0" * 32

    with pytest.raises((DeviceError, LinkClosedError)):
        await device.connect()

    assert device.return_code == 5


async def test_without_a_connection_it_says_so(device: FakeDevice) -> None:
    with pytest.raises(DeviceError, match="not connected"):
        device.send(mqtt.Pingreq())
    with pytest.raises(DeviceError, match="enrol first"):
        await device.connect()
