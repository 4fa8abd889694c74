"""A connection as a byte stream: `line.Line` over a GATT characteristic. Writes are cut at MTU - 3, that is all."""

from quecbind.app.ble.radio import Connection


class GattLine:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def receive(self) -> bytes:
        return await self._connection.indication()

    async def send(self, data: bytes) -> None:
        size = self._connection.mtu - 3
        for at in range(0, len(data), size):
            await self._connection.write(data[at : at + size])

    async def close(self) -> None:
        await self._connection.close()
