"""Questions and answers in the clear, before anybody has logged in: pairing, provisioning, a binding without a network.

A question is sent again when its answer stays away, where asking twice does no harm: indications get lost. What else
arrives is skipped, up to a limit.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quecbind.app.ble.line import GattLine
from quecbind.app.ble.radio import CONNECT_S, Radio, RadioError
from quecbind.app.bounded import MAX_ANSWER
from quecbind.app.errors import PairingError
from quecbind.app.line import carry
from quecbind.app.sealed_session import SealedSession
from quecbind.wire import frame, lan

ANSWER_S = 3.0
SEALED_S = 15.0
_FIRST_PACKET_ID = 1000


class Exchange:
    """One connection that is asked things."""

    def __init__(self, line: GattLine) -> None:
        self._line = line
        self._packet_id = _FIRST_PACKET_ID - 1

    async def ask(
        self, command: int, payload: bytes, answer: int, *, tries: int = 3, wait_s: float | None = None
    ) -> bytes:
        """The payload of the next frame whose command is `answer`.

        Raises:
            PairingError: none came in time, or the connection ended.
        """
        self._packet_id += 1
        question = frame.encode(self._packet_id, command, payload)
        try:
            for _ in range(tries):
                await self._line.send(question)
                try:
                    async with asyncio.timeout(ANSWER_S if wait_s is None else wait_s):
                        return await self._answer(answer)
                except TimeoutError:
                    continue
        except RadioError as error:
            raise PairingError(f"the connection with the device broke: {error}") from error
        raise PairingError("the device did not answer in time")

    async def prove(self, pin: str, product_key: str, device_key: str) -> lan.Pairing:
        """Sealed pairing: what the device says to who knows its PIN, and lets do on this connection.

        Raises:
            WrongPinError: the PIN is not the device's.
            NoBindCodeError: its bind window is closed, or it has no PIN.
            PairingError: no answer, or none that can be read.
        """
        now = asyncio.get_running_loop().time()
        session = SealedSession(pin, product_key, device_key, os.urandom, now, SEALED_S)
        return await carry(session, self._line)

    async def _answer(self, command: int) -> bytes:
        reader, left = frame.FrameReader(MAX_ANSWER), MAX_ANSWER
        while left > 0:
            data = await self._line.receive()
            if not data:
                raise PairingError("the device ended the connection without an answer")
            for received in reader.feed(data[:left]):
                if received.command == command:
                    return bytes(received.payload)
            left -= len(data)
        raise PairingError("the device sent too much that is no answer")


@asynccontextmanager
async def exchange(radio: Radio, address: str, connect_s: float = CONNECT_S) -> AsyncIterator[Exchange]:
    """A connection with the device at that address, for as long as it is needed.

    Raises:
        PairingError: there is none to be had.
    """
    try:
        line = GattLine(await radio.connect(address, connect_s))
    except RadioError as error:
        raise PairingError(str(error)) from error
    try:
        yield Exchange(line)
    finally:
        await line.close()
