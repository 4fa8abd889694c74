"""The auth key of a device; the Developer Center renews it when the device is bound again or its owner asks."""

from collections.abc import Awaitable, Callable

from quecbind.app.errors import UnreachableError


class Keys:
    """The auth key of one device, fetched whenever one is wanted: a wrong one would cost a wait at the device.

    While the Developer Center cannot be reached, the last one serves.
    """

    def __init__(self, fetch: Callable[[], Awaitable[bytes]]) -> None:
        self._fetch = fetch
        self._last: bytes | None = None

    async def present(self) -> bytes:
        try:
            self._last = await self._fetch()
        except UnreachableError:
            if self._last is None:
                raise
        return self._last
