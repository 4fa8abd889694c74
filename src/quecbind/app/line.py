"""A line to a device, whatever carries it, and a short exchange on one."""

import asyncio
from typing import Protocol

from quecbind.app.bounded import BoundedExchange
from quecbind.app.errors import PairingError
from quecbind.wire import lan


class Line(Protocol):
    """Bytes to and from a device. Both raise OSError when the line is broken."""

    async def receive(self) -> bytes:
        """Some bytes, b"" at the end; cancelling it loses none."""

    async def send(self, data: bytes) -> None: ...

    async def close(self) -> None:
        """Ends the line at once; never raises."""


async def carry(exchange: BoundedExchange, line: Line) -> lan.Pairing:
    """What the exchange ends with; the line stays open. A line that breaks is one that has ended.

    Raises:
        PairingError: why there is no pairing.
    """
    loop = asyncio.get_running_loop()
    while not exchange.is_over():
        limit = asyncio.timeout_at(exchange.next_timer())
        try:
            async with limit:
                if to_send := exchange.data_to_send():
                    await line.send(to_send)
                data = await line.receive()
        except OSError:
            if limit.expired():
                exchange.handle_timer(limit.when() or 0.0)
                continue
            data = b""
        exchange.receive_data(data, loop.time())
    if exchange.pairing is None:
        raise exchange.error or PairingError("the device gave no answer")
    return exchange.pairing
