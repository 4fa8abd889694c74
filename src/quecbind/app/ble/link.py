"""A session over BLE: the line that `link.Link` talks on, and how to get one.

The key is the auth key; of a device that has BLE only, its bind code, which the Developer Center gives as auth key too.
A log-in whose answer is lost is begun anew, on another connection and with another random.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from quecbind.app.ble.line import GattLine
from quecbind.app.ble.radio import CONNECT_S, Radio, RadioError
from quecbind.app.errors import PathLostError
from quecbind.app.link import FIRST_ASK_AFTER_S, Link
from quecbind.app.path import BLE

LOG_IN_S = 5.0
TRIES = 3
T = TypeVar("T")


async def open_link(
    radio: Radio,
    address: str,
    key: bytes,
    *,
    connect_s: float = CONNECT_S,
    seconds: float = LOG_IN_S,
    tries: int = TRIES,
    first_ask_after_s: float = FIRST_ASK_AFTER_S,
    share: bytes | None = None,
    permission: int | None = None,
) -> Link:
    """A session with the device at this address.

    Args:
        radio: who carries it.
        address: as a scan gave it.
        key: 16 bytes.
        connect_s: for each connection.
        seconds: for each try to log in.
        tries: connections that are made for it.
        first_ask_after_s: how long after the log-in the device is left in peace.
        share: see `ControlSession`.
        permission: see `ControlSession`.

    Raises:
        PathLostError: no connection, or no answer to the log-in.
        KeyRefusedError: the device knows another key.
    """

    async def begin(line: GattLine) -> Link:
        return await Link.open(
            line,
            key,
            BLE,
            seconds=seconds,
            first_ask_after_s=first_ask_after_s,
            share=share,
            permission=permission,
        )

    return await on_a_connection(radio, address, begin, connect_s, tries)


async def on_a_connection(
    radio: Radio, address: str, begin: Callable[[GattLine], Awaitable[T]], connect_s: float, tries: int
) -> T:
    """What `begin` makes of a connection, another one when it loses the first.

    Raises:
        PathLostError: as often as there are tries.
    """
    failure = PathLostError("the device was not tried")
    for _ in range(tries):
        try:
            connection = await radio.connect(address, connect_s)
        except RadioError as error:
            failure = PathLostError(str(error))
            continue
        try:
            return await begin(GattLine(connection))
        except PathLostError as error:
            failure = error
    raise failure
