"""A session over TCP: the line that `link.Link` talks on, and how to get one."""

import asyncio

from quecbind.app.errors import PathLostError
from quecbind.app.link import FIRST_ASK_AFTER_S, LOG_IN_S, Link
from quecbind.app.path import LAN
from quecbind.wire import lan

CONNECT_S = 5.0
_CLOSE_S = 1.0
_READ_SIZE = 4096


class TcpLine:
    """A TCP connection as a `link.Line`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> bytes:
        return await self._reader.read(_READ_SIZE)

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._writer.wait_closed()
        except OSError:
            pass
        finally:
            self._writer.transport.abort()


async def open_link(
    host: str,
    port: int = lan.TCP_PORT,
    key: bytes = b"",
    *,
    connect_s: float = CONNECT_S,
    seconds: float = LOG_IN_S,
    first_ask_after_s: float = FIRST_ASK_AFTER_S,
    share: bytes | None = None,
    permission: int | None = None,
) -> Link:
    """A session with the device at this address.

    Args:
        key: the 16 bytes of its auth key.
        connect_s: for the connection.
        seconds: for the log-in.
        first_ask_after_s: how long after the log-in the device is left in peace.
        share: see `ControlSession`.
        permission: see `ControlSession`.

    Raises:
        PathLostError: no connection, or no answer to the log-in.
        KeyRefusedError: the device knows another key.
    """
    try:
        async with asyncio.timeout(connect_s):
            reader, writer = await asyncio.open_connection(host, port, limit=4 * _READ_SIZE)
    except TimeoutError:
        raise PathLostError(f"the device at {host}:{port} did not answer in time") from None
    except OSError as error:
        raise PathLostError(f"the device at {host}:{port} cannot be reached: {error.strerror or error}") from error
    return await Link.open(
        TcpLine(reader, writer),
        key,
        LAN,
        seconds=seconds,
        first_ask_after_s=first_ask_after_s,
        share=share,
        permission=permission,
    )
