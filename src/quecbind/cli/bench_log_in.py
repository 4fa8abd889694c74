"""The log-in rate of a Developer Center, and of mosquitto with the same check in a plugin, in turn: A B A B ...

The load generator (tests/bench/lg.c) connects and subscribes a synthetic fleet; the figures are its own, and the
processor time is the servers', over all their threads, as the kernel counts it.
"""

import asyncio
import hashlib
import re
import socket
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quecbind.cli.bench_center import start_center
from quecbind.cli.center_api import ask
from quecbind.cli.children import ChildError, Children
from quecbind.cli.output import show_progress

# The fleet of lg.c and auth.c.
_PRODUCT_KEY, _PRODUCT_SECRET = "p111AB", "UFNTRUNSRVQwMTIz"
_IMPORT_BATCH = 1000
_START_S = 10.0
_ROUND_S = 120.0

_MOSQUITTO = """listener {port} 127.0.0.1
allow_anonymous true
plugin {plugin}
persistence false
log_type error
max_connections -1
set_tcp_nodelay true
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure; `plugin` None leaves mosquitto out."""

    directory: Path
    lg: Path
    plugin: Path | None
    mosquitto: str
    device_count: int
    at_once: int
    round_count: int


@dataclass(frozen=True, slots=True)
class _Server:
    name: str
    pid: int
    port: int
    with_user_name: bool


@dataclass(frozen=True, slots=True)
class _Round:
    rate: float
    p50_ms: float
    cpu_us: float


async def measure(plan: Plan) -> dict[str, Any]:
    """Medians over the rounds; one round before them warms both up and is not counted.

    Raises:
        ChildError: a server did not start, or a device was refused.
    """
    async with Children() as children:
        servers = [await _start_ours(children, plan)]
        mosquitto = None
        if plan.plugin is not None:
            mosquitto = await _start_mosquitto(plan)
            servers.append(mosquitto[1])
        try:
            rounds: dict[str, list[_Round]] = {server.name: [] for server in servers}
            for number in range(plan.round_count + 1):
                for server in servers:
                    measured = await _round(plan, server)
                    if number:
                        rounds[server.name].append(measured)
                show_progress(number + 1, plan.round_count + 1, "rounds")
        finally:
            if mosquitto is not None:
                mosquitto[0].terminate()
                await mosquitto[0].wait()
    return _summary(rounds)


def _summary(rounds: dict[str, list[_Round]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, measured in rounds.items():
        result[f"{name}_log_ins_per_s"] = round(statistics.median(one.rate for one in measured))
        result[f"{name}_p50_ms"] = round(statistics.median(one.p50_ms for one in measured), 2)
        result[f"{name}_cpu_us_per_log_in"] = round(statistics.median(one.cpu_us for one in measured))
        result[f"{name}_rates"] = [round(one.rate) for one in measured]
    if len(rounds) == 2:
        ours, theirs = rounds.values()
        ratios = [one.rate / other.rate for one, other in zip(ours, theirs, strict=True)]
        result["ratio"] = round(statistics.median(ratios), 2)
        result["ratios"] = [round(ratio, 2) for ratio in ratios]
    return result


async def _start_ours(children: Children, plan: Plan) -> _Server:
    data = plan.directory / "data"
    pid, urls = await start_center(children, data)
    await asyncio.to_thread(_make_fleet, data, plan.device_count)
    return _Server("quecbind", pid, int(urls["mqtt"].rpartition(":")[2]), with_user_name=False)


def _make_fleet(data: Path, device_count: int) -> None:
    product = {"name": "bench", "product_key": _PRODUCT_KEY, "product_secret": _PRODUCT_SECRET}
    ask(data, "POST", "/products", {**product, "device_limit": max(device_count, 1)})
    keys = [f"{number:015d}" for number in range(device_count)]
    for start in range(0, device_count, _IMPORT_BATCH):
        ask(
            data,
            "POST",
            "/devices/import",
            [
                {
                    "product_key": _PRODUCT_KEY,
                    "device_key": key,
                    "device_secret": hashlib.sha256(key.encode()).hexdigest()[:32],
                }
                for key in keys[start : start + _IMPORT_BATCH]
            ],
        )


async def _start_mosquitto(plan: Plan) -> tuple[asyncio.subprocess.Process, _Server]:
    assert plan.plugin is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = plan.directory / "mosquitto.conf"
    config.write_text(_MOSQUITTO.format(port=port, plugin=plan.plugin.resolve()), encoding="ascii")
    try:
        process = await asyncio.create_subprocess_exec(plan.mosquitto, "-c", str(config))
    except FileNotFoundError:
        raise ChildError(f"there is no {plan.mosquitto}: install mosquitto, or leave out --plugin") from None
    try:
        async with asyncio.timeout(_START_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ChildError("mosquitto did not start; its words are above") from None
    return process, _Server("mosquitto", process.pid, port, with_user_name=True)


async def _round(plan: Plan, server: _Server) -> _Round:
    before_ns = _cpu_ns(server.pid)
    process = await asyncio.create_subprocess_exec(
        str(plan.lg),
        *("-p", str(server.port), "-n", str(plan.device_count), "-c", str(plan.at_once)),
        *("-u", "1" if server.with_user_name else "0", "-s", "1", "-t", str(_ROUND_S)),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    cpu_us = (_cpu_ns(server.pid) - before_ns) / 1000 / plan.device_count
    text = output.decode("ascii", "replace")
    figures = re.search(r"ok=(\d+) .*rate=(\d+)/s p50=([\d.]+)ms", text)
    if figures is None or int(figures[1]) != plan.device_count:
        raise ChildError(f"not every device was let in by {server.name}: {text.strip()}")
    return _Round(float(figures[2]), float(figures[3]), cpu_us)


def _cpu_ns(pid: int) -> int:
    """Time on a processor of every thread the process has now; /proc/PID/schedstat alone is the first thread's."""
    return sum(int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))
