"""A session over TCP."""

import asyncio

from quecbind.app.control_session import LOG_IN_S
from quecbind.app.errors import PathLostError
from quecbind.app.lan.tcp_line import open_line
from quecbind.app.link import FIRST_ASK_AFTER_S, Link
from quecbind.app.path import LAN

CONNECT_S = 5.0


async def open_link(
    host: str,
    port: int,
    key: bytes,
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
            line = await open_line(host, port)
    except TimeoutError:
        raise PathLostError(f"the device at {host}:{port} did not answer in time") from None
    except OSError as error:
        raise PathLostError(f"the device at {host}:{port} cannot be reached: {error.strerror or error}") from error
    return await Link.open(
        line,
        key,
        LAN,
        seconds=seconds,
        first_ask_after_s=first_ask_after_s,
        share=share,
        permission=permission,
    )
