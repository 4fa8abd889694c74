"""A TCP connection as a `line.Line`."""

import asyncio

_CLOSE_S = 1.0
_READ_SIZE = 4096


class TcpLine:
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


async def open_line(host: str, port: int) -> TcpLine:
    """Connects; takes as long as the operating system lets it.

    Raises:
        OSError: nobody is there.
    """
    return TcpLine(*await asyncio.open_connection(host, port, limit=4 * _READ_SIZE))
