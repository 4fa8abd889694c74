"""A Developer Center to measure: started on free ports, empty."""

from pathlib import Path

from quecbind.cli.children import Children

_START_S = 30.0


async def start_center(children: Children, data: Path) -> tuple[int, dict[str, str]]:
    """The pid of a running server and its addresses by scheme; it ends with `children`.

    Raises:
        ChildError: it did not start.
    """
    server = await children.start(
        *("serve", "--data", str(data), "--host", "127.0.0.1", "--http-port", "0", "--mqtt-port", "0"),
        *("--log-level", "warning"),
        # All devices share one address here, and one that is measured reports without a pause.
        *("--log-in-rate-per-address", "1000000", "--log-in-burst-per-address", "1000000"),
        *("--message-rate", "1000000", "--message-burst", "1000000", "--max-messages-per-day", "1000000000"),
        *("--change-burst-per-user", "1000000"),
    )
    ready = await server.line("quecbind ready ", _START_S)
    pid = int((data / "lock").read_text(encoding="ascii"))
    return pid, dict(word.split("=", 1) for word in ready.split()[2:] if "=" in word)
