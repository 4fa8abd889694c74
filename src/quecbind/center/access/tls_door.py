"""The door in front of a TLS listener: it accepts, does the handshake, and only then is there a connection to serve.

An event loop's own TLS server tells nobody of a handshake before it is over, so that whoever opens many and never ends
them is counted nowhere. Here each is counted, for its address and in total, from accept to its end. It knows no MQTT
and no HTTP: what is served behind the door is handed in.
"""

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable

from quecbind.center.domain.addresses import counted_address

logger = logging.getLogger(__name__)

HANDSHAKE_TIME_S = 10.0
# When the process has no file left, accepting again at once would only burn the processor.
OUT_OF_FILES_S = 0.2


class Places:
    """How many of something are open, in total and for each address.

    Attributes:
        count: in total. refused_count: those that were not begun, because their address, or all together, had too
        many.
    """

    def __init__(
        self, max_per_address: int, max_count: int, *, is_of_many: Callable[[str], bool] = lambda _: False
    ) -> None:
        """
        Args:
            is_of_many: whether those of an address count in total only: it stands for others.
        """
        self._max_per_address = max_per_address
        self._max_count = max_count
        self._is_of_many = is_of_many
        self._count_by_address: Counter[str] = Counter()
        self.count = 0
        self.refused_count = 0

    def begin(self, address: str) -> bool:
        """Whether one more may begin; it is counted then."""
        name = counted_address(address)
        is_full = self._count_by_address[name] >= self._max_per_address and not self._is_of_many(address)
        if self.count >= self._max_count or is_full:
            self.refused_count += 1
            return False
        self.count += 1
        self._count_by_address[name] += 1
        return True

    def end(self, address: str) -> None:
        """One is over, well or not."""
        name = counted_address(address)
        self.count -= 1
        self._count_by_address[name] -= 1
        if not self._count_by_address[name]:
            del self._count_by_address[name]


class Handshakes(Places):
    """How many handshakes are under way.

    Attributes:
        failed_count: those that came to nothing: no TLS, no common version, no certificate that was asked for, too
        slow.
    """

    failed_count = 0


class TlsDoor:
    """Serves one bound socket, which it takes over, from construction to `close`."""

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        make_protocol: Callable[[], asyncio.BaseProtocol],
        handshakes: Handshakes,
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._context = context
        self._make_protocol = make_protocol
        self._handshakes = handshakes
        self._running = asyncio.get_running_loop().create_task(self._run(), name="tls door")

    async def close(self) -> None:
        """Take no more and drop the handshakes under way; connections that stand are not touched. Twice is fine."""
        self._running.cancel()
        await asyncio.wait([self._running])
        self._listener.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    accepted, peer = await loop.sock_accept(self._listener)
                except OSError as error:
                    logger.warning("tls.not_accepted reason=%s", error)
                    await asyncio.sleep(OUT_OF_FILES_S)
                    continue
                address = peer[0] if isinstance(peer, tuple) else ""
                if self._handshakes.begin(address):
                    tasks.create_task(self._shake_hands(accepted, address), name="tls handshake")
                else:
                    accepted.close()

    async def _shake_hands(self, accepted: socket.socket, address: str) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make_protocol, accepted, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_TIME_S
            )
        except OSError:  # ssl.SSLError, a reset and a time-out among them
            self._handshakes.failed_count += 1
        except Exception as error:  # noqa: BLE001 - one peer's trouble must not close the door: names that are no text
            logger.warning("tls.handshake_failed address=%s reason=%s", address, type(error).__name__)
            self._handshakes.failed_count += 1
            accepted.close()
        except asyncio.CancelledError:
            accepted.close()
            raise
        finally:
            self._handshakes.end(address)
