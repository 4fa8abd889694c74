"""A device in a process of its own, on the loopback network: `quecbind device run` of lamp_script.py."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
from pathlib import Path

from tests.attack.crowd import BINDING, CODE, Caller, Crowd
from tests.e2e.center_process import COMMAND, environment
from tests.quecIot.app_by_hand import App
from tests.waiting import until

SCRIPT = Path(__file__).with_name("lamp_script.py")
LOGGED_IN, REFUSED = bytes.fromhex("001a0000"), bytes.fromhex("001a0001")
WRITE, WRITE_ACK, PING, PONG = 0x0013, 0x7036, 0x7037, 0x7038
ON = bytes.fromhex("0131")  # property 38 is true


class Lamp:
    def __init__(self, crowd: Crowd, directory: Path, dk: str) -> None:
        self.product, self.dk, self.directory = crowd.single, dk, directory
        self.log = directory / "log"
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            udp.bind(("127.0.0.1", 0))
            self.port, udp_port = tcp.getsockname()[1], udp.getsockname()[1]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(*COMMAND, "device", "run", str(SCRIPT), "--dk", dk, "--home", str(directory / "home")),
                    *("--server", f"mqtt://127.0.0.1:{crowd.center.mqtt_port}", "--lan-host", "127.0.0.1"),
                    *("--lan-udp-port", str(udp_port), "--lan-tcp-port", str(self.port)),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment(
                    LAMP_DIR=str(directory), LAMP_PK=self.product.key, LAMP_PS=self.product.secret, LAMP_CODE=CODE
                ),
            )

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def tell(self, what: str) -> None:
        """ "reset" or "window": see lamp_script.py."""
        (self.directory / what).write_text("")

    def bound_to(self, who: Caller) -> bytes:
        """The auth key; the device holds it too."""
        answer: dict[str, object] = {}

        def binds() -> bool:
            body = {"productKey": self.product.key, "deviceKey": self.dk, "bindingCode": CODE}
            answer.update(who.call("POST", BINDING + "v2/deviceBindingByWifi", body))
            return answer["code"] != 5460

        assert until(binds), self.log.read_text()
        data = answer["data"]
        assert isinstance(data, dict), answer
        return self.holds(data["authKey"])

    def holds(self, auth_key: str) -> bytes:
        """Wait until the device has this key, Base64, "" for none; its bytes."""
        key = base64.b64decode(auth_key)
        assert until(lambda: self._kept() == key.hex()), self.log.read_text()
        return key

    def _kept(self) -> object:
        try:
            return json.loads((self.directory / "home" / f"{self.dk}.json").read_text())["auth_key"]
        except FileNotFoundError:
            return None

    def events(self) -> list[str]:
        """What Apps and the Developer Center asked of the script so far."""
        return [line for line in self.log.read_text().splitlines() if line.startswith("event (5, 102")]

    def app(self, key: bytes, source: str) -> App:
        return App(self.port, key, source=source)

    def closed(self, app: App) -> bool:
        """Whether the device closes this connection; whatever it says before is dropped."""
        try:
            while app.socket.recv(4096):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True
