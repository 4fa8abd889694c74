"""`quecbind demo`: the whole path on this machine, over real sockets between separate processes.

Starts a Developer Center, a device that runs examples/bind_me.py and an App; the user ends up owning the device,
then the device resets and belongs to nobody. Each line of the timeline is printed when it has been seen, on the wire's
far side wherever there is one. State lies in a temporary directory; nothing is left, neither files nor processes.
"""

import argparse
import asyncio
import json
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import quecbind
from quecbind.cli.arguments import Subparsers, add_command, add_json, seconds
from quecbind.cli.center_api import LiveCenter, path
from quecbind.cli.children import Child, ChildError, Children
from quecbind.cli.outcome import DONE, REFUSED, CommandError
from quecbind.cli.output import print_json

_START_S = 30.0
_STEP_S = 20.0
_POLL_S = 0.05
_INTERRUPTED = 130

_EMAIL = "ada@example.com"
_SCRIPT = "bind_me.py"


def register(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "demo",
        "watch a device enrol, be found, bound and reset, on this machine",
        "quecbind demo\nquecbind demo --verbose",
        run,
    )
    parser.add_argument("--verbose", action="store_true", help="show what the processes print, on stderr")
    parser.add_argument("--seconds", type=seconds, default=90.0, metavar="S", help="give up after this; default: 90")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    # What the server it starts needs: missing parts are better told now than by a child that does not start.
    import httpx  # noqa: F401, PLC0415
    import uvloop  # noqa: F401, PLC0415

    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    # Only the first signal counts: the second must not interrupt the tidying up.
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _cancel_once(task))
    timeline = _Timeline(quiet=args.json)
    directory = Path(tempfile.mkdtemp(prefix="quecbind-demo-"))
    try:
        async with asyncio.timeout(args.seconds), Children() as children:
            await _Demo(children, directory, timeline, args.verbose).play()
        timeline.tell("demo", "done; every process has ended, the directory is gone")
    except TimeoutError:
        raise CommandError(REFUSED, f"the demo did not come to its end in {args.seconds:g} s") from None
    except ChildError as error:
        raise CommandError(REFUSED, f"the demo failed: {error}") from None
    except asyncio.CancelledError:
        print("quecbind: interrupted; every process has been stopped", file=sys.stderr)
        return _INTERRUPTED
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if args.json:
        print_json({"steps": timeline.steps, "seconds": timeline.seconds()})
    return DONE


def _cancel_once(task: "asyncio.Task[Any]") -> Callable[[], None]:
    def cancel() -> None:
        if not task.cancelling():
            task.cancel()

    return cancel


class _Timeline:
    """What has happened, with the seconds since the beginning."""

    def __init__(self, quiet: bool) -> None:
        self.steps: list[dict[str, object]] = []
        self._quiet = quiet
        self._start = time.monotonic()

    def seconds(self) -> float:
        return round(time.monotonic() - self._start, 3)

    def tell(self, who: str, what: str) -> None:
        at = self.seconds()
        self.steps.append({"at_s": at, "who": who, "what": what})
        if not self._quiet:
            print(f"{at:7.2f} s  {who:<8}  {what}", flush=True)


class _Demo:
    """The story, in order."""

    def __init__(self, children: Children, directory: Path, timeline: _Timeline, verbose: bool) -> None:
        self._children = children
        self._data = directory / "center"
        self._home = directory / "device"
        self._button = directory / "reset-button"
        self._tell = timeline.tell
        self._verbose = verbose
        self._device_key = secrets.token_hex(6).upper()
        self._lan_port = _free_udp_port()
        # a proxy has no business between processes of one machine
        self._app = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        self._product: dict[str, Any] = {}

    async def play(self) -> None:
        mqtt_url = await self._start_center()
        await self._create_product_and_user()
        device = await self._start_device(mqtt_url)
        await self._see_enrolment_and_bind_code(device)
        await self._pair()
        first = await self._see_owner()
        await self._reset(device, first)

    # --- the three sides ---

    async def _start_center(self) -> str:
        center = await self._start(
            "serve", "--data", str(self._data), "--host", "127.0.0.1", "--http-port", "0", "--mqtt-port", "0"
        )
        ready = await center.line("quecbind ready ", _START_S)
        urls = dict(part.split("=", 1) for part in ready.split()[2:] if "=" in part)
        self._app["QUECBIND_APP_URL"] = urls["http"]
        self._tell("center", f"running: HTTP {urls['http']}, MQTT {urls['mqtt']}, database in {self._data}")
        return urls["mqtt"]

    async def _create_product_and_user(self) -> None:
        self._product, domain = await asyncio.gather(
            self._ask_command("product", "create", "Demo lamp", "--bind-mode", "single"),
            self._ask_command("domain", "create", "Demo App"),
        )
        password = secrets.token_hex(8)
        await self._ask_command(
            "user", "create", _EMAIL, "--domain", domain["user_domain"], environment={"QUECBIND_APP_PASSWORD": password}
        )
        self._app |= {
            "QUECBIND_APP_DOMAIN": domain["user_domain"],
            "QUECBIND_APP_DOMAIN_SECRET": domain["user_domain_secret"],
            "QUECBIND_APP_EMAIL": _EMAIL,
            "QUECBIND_APP_PASSWORD": password,
        }
        self._tell(
            "operator", f"created product {self._product['product_key']} (one owner at a time) and user {_EMAIL}"
        )

    async def _start_device(self, mqtt_url: str) -> Child:
        device = await self._start(
            *("device", "run", str(_script()), "--dk", self._device_key, "--home", str(self._home)),
            *("--server", mqtt_url, "--lan-host", "127.0.0.1", "--lan-udp-port", str(self._lan_port)),
            *("--lan-tcp-port", "0"),
            environment={
                "BIND_ME_PRODUCT_KEY": self._product["product_key"],
                "BIND_ME_PRODUCT_SECRET": self._product["product_secret"],
                "BIND_ME_RESET_FILE": str(self._button),
            },
        )
        self._tell("device", f"{self._device_key} switched on: runs {_SCRIPT}, holds the product secret only")
        return device

    async def _see_enrolment_and_bind_code(self, device: Child) -> None:
        await device.line("event 1,10200", _STEP_S)
        self._tell("device", "enrolled: traded proof of the product secret for a device secret of its own")
        await device.line("event 3,10200", _STEP_S)
        await self._until("the device is connected", lambda seen: bool(seen["is_online"]))
        self._tell("device", "connected")
        await self._until("the bind code has arrived", lambda seen: seen["bind_window_end_at"] is not None)
        self._tell("device", "reported its bind code to the center")

    async def _pair(self) -> None:
        names = {
            "searching": "signed in as the user; searching the local network",
            "found": "found the device on the LAN",
            "the device handed": "paired: the device handed over its bind code",
        }

        def heard(line: str) -> None:
            for begins, sentence in names.items():
                if line.startswith(begins):
                    where = line.rpartition(" at ")[2] if begins == "found" else ""
                    self._tell("app", f"{sentence} at {where}" if where else sentence)

        bound = await self._ask_command(
            *("app", "pair", "--dk", self._device_key, "--name", "Desk lamp"),
            *("--lan-address", "127.0.0.1", "--lan-port", str(self._lan_port)),
            heard=heard,
            environment=self._app,
        )
        if bound["device_key"] != self._device_key:
            raise ChildError("`quecbind app pair` bound another device")
        self._tell("center", "both codes match: the device is bound to the user")

    async def _see_owner(self) -> dict[str, Any]:
        listed = await self._ask_command("app", "devices", environment=self._app)
        if [one["device_key"] for one in listed["devices"]] != [self._device_key]:
            raise ChildError(f"userDeviceList does not show the device: {listed}")
        self._tell("app", f"userDeviceList shows {listed['devices'][0]['name']!r}, online: the user owns the device")
        return await self._until("the device has an owner", lambda seen: len(seen["owners"]) == 1)

    async def _reset(self, device: Child, first: dict[str, Any]) -> None:
        enrolments = sum(line.startswith("event 1,10200") for line in device.output)
        self._button.touch()
        await device.line("reset button: rst() is True", _STEP_S)
        self._tell("device", "rst(): forgot its device secret and bind code, from inside the script")
        seen = await self._until(
            "the owner is gone", lambda seen: not seen["owners"] and seen["epoch"] > first["epoch"]
        )
        self._tell("center", f"the owner is gone; the device is in epoch {seen['epoch']}, it was in {first['epoch']}")
        listed = await self._ask_command("app", "devices", environment=self._app)
        if listed["devices"]:
            raise ChildError("userDeviceList still shows the device after its reset")
        self._tell("app", "userDeviceList is empty: the device belongs to nobody")
        # A secret becomes active when it is used: the device has received the new one and signed in with it.
        await self._until(
            "the device has enrolled again", lambda seen: bool(seen["is_online"]) and seen["state"] == "active"
        )
        if sum(line.startswith("event 1,10200") for line in device.output) <= enrolments:
            raise ChildError(f"the device did not enrol again; {device.tail()}")
        self._tell("device", "enrolled again with a new device secret, and is connected")

    # --- how ---

    async def _start(
        self,
        *arguments: str,
        heard: Callable[[str], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        name = arguments[0]

        def listen(line: str) -> None:
            if self._verbose:
                print(f"    {name}: {line}", file=sys.stderr, flush=True)
            if heard is not None:
                heard(line)

        return await self._children.start(*arguments, environment=environment, heard=listen)

    async def _ask_command(
        self,
        *arguments: str,
        heard: Callable[[str], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """What a command answers with --json."""
        if arguments[0] != "app":
            arguments = (*arguments, "--data", str(self._data))
        child = await self._start(*arguments, "--json", heard=heard, environment=environment)
        answer = await child.end(_START_S)
        self._children.forget(child)
        value: dict[str, Any] = json.loads(answer)
        return value

    async def _until(self, what: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The device as the operator sees it, once `holds`."""
        where = path("devices", self._product["product_key"], self._device_key)
        center = LiveCenter.of(self._data)
        if center is None:
            raise ChildError("the Developer Center has gone")
        deadline = time.monotonic() + _STEP_S
        async with center.api() as api:
            while True:
                self._children.check()
                seen: dict[str, Any] = await api.ask("GET", where)
                if holds(seen):
                    return seen
                if time.monotonic() > deadline:
                    raise ChildError(f"waited {_STEP_S:g} s in vain until {what}")
                await asyncio.sleep(_POLL_S)


def _script() -> Path:
    """examples/bind_me.py: beside the package in an installation, at the root of a checkout."""
    package = Path(quecbind.__file__).parent
    for place in (package / "examples", package.parent.parent / "examples"):
        if (place / _SCRIPT).is_file():
            return place / _SCRIPT
    raise CommandError(REFUSED, f"examples/{_SCRIPT} is missing from this installation")


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
