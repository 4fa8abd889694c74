"""The calls of the module: arguments checked, state changed under one lock, I/O left to its threads.

Each call is all or nothing: what breaks a rule, or cannot be stored, changes nothing, gives False (None for a getter)
and leaves one line in the log. The lock is held for as long as a store write takes, never for the network.
"""

from quecbind.wire import commands, sealed, ttlv
from quecIot import _codes, _draw, _options, _platform
from quecIot._agent import Agent
from quecIot._bind_window import BindWindow
from quecIot._board import Board
from quecIot._events import Events
from quecIot._lan import Settings
from quecIot._near import Near
from quecIot._profile import DEFAULTS, LATER, Profile
from quecIot._store import Store, StoreError
from quecIot._uplink import Uplink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from quecIot._ble import Peripheral

MAX_MCU_COMPONENTS = 32
_TRANSPARENT = (_codes.TRANSPARENT_SENT, _codes.TRANSPARENT_FAILED)
_NO_LIBRARY = "sealed pairing needs a library: pip install 'quecbind[sealed]'"
_TSL = (_codes.TSL_SENT, _codes.TSL_FAILED)


class _Refused(Exception):
    """A call that cannot be done now; the sentence says why."""


class Device:
    def __init__(
        self,
        getenv: "Callable[[str], str]" = _platform.getenv,
        files: "_platform.Files | None" = None,
        entropy: "Callable[[int], bytes]" = _platform.entropy,
        monotonic: "Callable[[], float]" = _platform.monotonic,
        has_threads: bool = True,
    ) -> None:
        """Without threads there is no network: whoever made it drives `agent`."""
        self.agent: "Agent | None" = None
        self._getenv = getenv
        self._files = files or _platform.Files()
        self._entropy = entropy
        self._monotonic = monotonic
        self._has_threads = has_threads
        self._lock = _platform.new_lock()
        self._events = Events()
        self._uplink: "Uplink | None" = None
        self._is_ble_only = False
        self._told_count = 0

    # --- set-up ---

    def init(self) -> bool:
        with self._lock:
            if self.agent is not None:
                self.agent.stop()
                self._flush()
            else:
                try:
                    self._set_up()
                except (StoreError, _Refused, OSError) as error:
                    _platform.log(_platform.ERROR, "init: %s" % error)
                    return False
        self._wake()
        return True

    def _set_up(self) -> None:
        home = self._getenv("QUECIOT_HOME") or (self._getenv("HOME") or ".") + "/.queciot"
        server = self._getenv("QUECIOT_SERVER")
        if server and _options.split_server(server) is None:
            raise _Refused("QUECIOT_SERVER must be host:port, mqtt://host:port or mqtts://host:port")
        try:
            lan_settings = Settings(self._getenv)
        except ValueError:
            raise _Refused("QUECIOT_LAN_UDP_PORT, _TCP_PORT and _CLASSIC_PORT must be ports, 0..65535") from None
        self._files.make_directory(home)
        board = Board(self._files, home)
        device_key = self._getenv("QUECIOT_DK") or board.default_device_key(self._entropy)
        pin = self._pin_of(self._getenv("QUECIOT_PAIRING_PIN"))
        if not _options.is_device_key(device_key):
            raise _Refused("QUECIOT_DK must be 1 to 16 of 0-9 A-Z a-z")
        store = Store(home, device_key + ".json", self._files, DEFAULTS, LATER)
        store.load(_platform.log)
        self._profile = Profile(store, device_key, server, self._entropy)
        self._window = BindWindow(store.values["bind_code"] or None)
        self._board = board
        agent = Agent(self._profile, self._window, board, self._entropy, _platform.log)
        is_chip = self._getenv("QUECIOT_BLE_CHIP") == "1"
        self._is_ble_only = is_chip or self._getenv("QUECIOT_BLE_ONLY") == "1"
        self._near = Near(
            self._lock,
            agent,
            self._profile,
            self._window,
            board,
            self._events,
            self._wake,
            self._entropy,
            self._monotonic,
            self._is_ble_only,
            is_chip,
        )
        self._near.pin.text = pin
        if self._has_threads:
            ca_file = self._getenv("QUECIOT_CA_FILE")
            verify = self._getenv("QUECIOT_TLS_INSECURE") != "1"
            self._uplink = Uplink(agent, self._lock, self._flush, ca_file, verify)
            self._uplink.start()
            self._near.start_lan(lan_settings, self._files)
            transport = self._getenv("QUECIOT_BLE")
            if transport:
                self._near.start_ble(transport)
        self.agent = agent

    @staticmethod
    def _pin_of(pin: str) -> str:
        if pin and not sealed.is_pin(pin):
            raise _Refused("QUECIOT_PAIRING_PIN must be 6 to 16 digits")
        if pin and not _platform.can_agree():
            raise _Refused(_NO_LIBRARY)
        return pin

    def close(self) -> None:
        """Ends the threads; for programs that make devices of their own."""
        with self._lock:
            if self._uplink is not None:
                self._uplink.stop()
            if self.agent is not None:
                self._near.stop()
        self._events.stop()

    def ble_peripheral(self) -> "Peripheral":
        """The device as a BLE peripheral, for whoever has a radio; `init` comes first."""
        return self._near.ble_peripheral()

    def _flush(self) -> None:
        """Hands events on, in their order: with the lock held."""
        if self.agent is not None:
            self._events.put(self.agent.take_events())
            self._near.refresh()

    def _wake(self) -> None:
        if self._uplink is not None:
            self._uplink.wake()

    def _do(self, call: str, values: "tuple[Any, ...]", work: "Callable[..., Any]", failure: "Any" = False) -> "Any":
        """One call: `work(agent, *arguments)` under the lock, or the failure and its line in the log."""
        try:
            arguments = _options.check(call, values) if values else []
            with self._lock:
                result = work(self._initialised(call), *arguments)
                self._flush()
        except (_options.Wrong, _Refused) as error:
            _platform.log(_platform.WARNING, str(error))
            return failure
        except StoreError as error:
            _platform.log(_platform.ERROR, "%s: %s" % (call, error))
            return failure
        self._wake()
        return result

    def _initialised(self, call: str) -> Agent:
        if self.agent is None:
            raise _Refused("%s: init() comes first" % call)
        return self.agent

    def _configure(self, call: str, values: "tuple[Any, ...]", work: "Callable[..., Any]") -> bool:
        """A setter that works only while connection mode is 0."""

        def idle(agent: Agent, *arguments: "Any") -> bool:
            if agent.mode:
                raise _Refused("%s: only while the connection mode is 0" % call)
            before = self._profile.identity()
            is_done = work(*arguments) is not False
            if self._profile.identity() != before:
                self._window.tell_again(self._monotonic())
            return is_done

        return bool(self._do(call, values, idle))

    def _get(self, call: str, read: "Callable[[], Any]") -> "Any":
        return self._do(call, (), lambda agent: read(), None)

    # --- device authorization ---

    def bindcode_set(self, bind_code: "Any", timeout: "Any") -> bool:
        def work(agent: Agent, code: "str | None", seconds: int) -> bool:
            if code is None and not seconds:
                code = self._profile.setting("bind_code") or None
            if code is None:
                code = _draw.hex_digits(self._entropy, 16)
            self._profile.save(bind_code=code)
            now = self._monotonic()
            self._window.open(code, seconds, now)
            self._near.pin.renew()
            agent.report_bind_code(now)
            return True

        return bool(self._do("bindcodeSet", (bind_code, timeout), work))

    def bindcode_get(self) -> "list[Any] | None":
        def read() -> "list[Any] | None":
            now = self._monotonic()
            code = self._window.code(now)
            return None if code is None else [code, self._window.seconds_left(now)]

        answer: "list[Any] | None" = self._get("bindcodeGet", read)
        return answer

    def set_pairing_pin(self, pin: "Any") -> bool:
        def work(agent: Agent, pin: str) -> None:
            if pin and not _platform.can_agree():
                raise _Refused("setPairingPin: %s" % _NO_LIBRARY)
            self._near.pin.text = pin

        return self._do("setPairingPin", (pin,), work) is not False

    def rst(self) -> bool:
        def work(agent: Agent) -> bool:
            self._profile.forget()
            self._window.forget()
            agent.reset()
            return True

        return bool(self._do("rst", (), work))

    # --- product configuration ---

    def set_connmode(self, mode: "Any") -> bool:
        def work(agent: Agent, mode: int) -> bool:
            if not mode:
                agent.stop()
                return True
            if self._is_ble_only:
                raise _Refused("setConnmode: this device has BLE only")
            if not (self._profile.product_key and self._profile.product_secret and self._profile.server):
                raise _Refused("setConnmode: 1 needs product key, product secret and server")
            agent.start()
            return True

        return bool(self._do("setConnmode", (mode,), work))

    def get_connmode(self) -> "int | None":
        mode: "int | None" = self._do("getConnmode", (), lambda agent: agent.mode, None)
        return mode

    def get_work_state(self) -> int:
        with self._lock:
            return _codes.NOT_INITIALISED if self.agent is None else self.agent.work_state

    def set_event_cb(self, callback: "Any") -> bool:
        def work(agent: Agent, callback: "Any") -> bool:
            self._events.set_callback(callback)
            return True

        return bool(self._do("setEventCB", (callback,), work))

    def set_provision_cb(self, callback: "Any") -> bool:
        def work(agent: Agent, callback: "Any") -> bool:
            self._near.set_provision_callback(callback)
            return True

        return bool(self._do("setProvisionCB", (callback,), work))

    def set_productinfo(self, product_key: "Any", product_secret: "Any") -> bool:
        def work(product_key: str, product_secret: str) -> None:
            self._profile.set_product(product_key, product_secret)

        return self._configure("setProductinfo", (product_key, product_secret), work)

    def get_productinfo(self) -> "Any":
        return self._get("getProductinfo", lambda: (self._profile.product_key, self._profile.product_secret, "3"))

    def set_server(self, kind: "Any", server: "Any") -> bool:
        def work(kind: int, server: str) -> None:
            self._profile.set_server(server)

        return self._configure("setServer", (kind, server), work)

    def get_server(self) -> "Any":
        return self._get("getServer", lambda: (1, self._profile.server))

    def set_setting(self, call: str, name: str, value: "Any") -> bool:
        """A setting that is one value of the store."""

        def work(value: "Any") -> None:
            self._profile.save(**{name: value})

        return self._configure(call, (value,), work)

    def get_setting(self, call: str, name: str) -> "Any":
        return self._get(call, lambda: self._profile.setting(name))

    def set_pdp_context_id(self, number: "Any") -> bool:
        return self._configure("setPdpContextId", (number,), lambda number: None)

    def get_pdp_context_id(self) -> "Any":
        return self._get("getPdpContextId", lambda: 1)

    def set_mcu_version(self, component: "Any", version: "Any") -> bool:
        def work(component: str, version: str) -> None:
            versions = [list(pair) for pair in self._profile.setting("mcu_versions")]
            for pair in versions:
                if pair[0] == component:
                    pair[1] = version
                    break
            else:
                versions.append([component, version])
            versions = [pair for pair in versions if pair[1]]
            if len(versions) > MAX_MCU_COMPONENTS:
                raise _Refused("setMcuVersion: at most %d components" % MAX_MCU_COMPONENTS)
            self._profile.save(mcu_versions=versions)

        return self._configure("setMcuVersion", (component, version), work)

    def get_mcu_version(self) -> "Any":
        return self._get("getMcuVersion", lambda: [tuple(pair) for pair in self._profile.setting("mcu_versions")])

    def set_dk_ds(self, device_key: "Any", device_secret: "Any") -> bool:
        def work(device_key: str, device_secret: str) -> None:
            if not self._profile.set_device(device_key, device_secret):
                raise _Refused(
                    "setDkDs: dk must not be the default device key, nor empty with a ds or while the default is in use"
                )

        return self._configure("setDkDs", (device_key, device_secret), work)

    def get_dk_ds(self) -> "Any":
        def read() -> "tuple[str, str] | None":
            own = self._profile.setting("device_key")
            return (own, self._profile.device_secret) if own else None

        return self._get("getDkDs", read)

    # --- data ---

    def pass_trans_send(self, call: str, qos: "Any", data: "Any") -> int:
        """The packet id, or -1."""

        def work(agent: Agent, qos: int, data: bytes) -> int:
            self._tell_near(call, commands.TRANSPARENT_UP, data)
            return self._send(agent, call, commands.TRANSPARENT_UP, data, qos, _TRANSPARENT)

        return int(self._do(call, (qos, data), work, -1))

    def phymodel_report(self, call: str, qos: "Any", properties: "Any") -> int:
        """The packet id, or -1."""

        def work(agent: Agent, qos: int, payload: bytes) -> int:
            self._tell_near(call, commands.TSL_REPORT, payload)
            return self._send(agent, call, commands.TSL_REPORT, payload, qos, _TSL)

        return int(self._do(call, (qos, properties), work, -1))

    def _tell_near(self, call: str, command: int, payload: bytes) -> None:
        if not self._near.report(command, payload) and self._is_ble_only:
            raise _Refused("%s: too large for BLE, and there is no other link" % call)

    def _send(
        self, agent: Agent, call: str, command: int, payload: bytes, qos: int, codes: "tuple[int, int] | None"
    ) -> int:
        if self._is_ble_only and codes is not None:  # Apps are the only ones to tell, and they are told at once
            self._told_count = self._told_count % 0xFFFE + 1
            self._events.put([(_codes.SEND, codes[0], self._told_count)])
            return self._told_count
        if not agent.mode:
            raise _Refused("%s: only while the connection mode is 1" % call)
        packet_id = agent.send(command, payload, qos, codes, self._monotonic())
        if not packet_id:
            raise _Refused("%s: too much is waiting to be sent" % call)
        return packet_id

    def phymodel_ack(self, qos: "Any", packet_id: "Any", properties: "Any") -> bool:
        def work(agent: Agent, qos: int, packet_id: int, payload: bytes) -> bool:
            is_for_app = self._near.answer_read(packet_id, payload)
            if not agent.answer(commands.TSL_READ_ANSWER, packet_id, payload) and not is_for_app:
                raise _Refused("phymodelAck: only while subscribed (work state 8)")
            return True

        return bool(self._do("phymodelAck", (qos, packet_id, properties), work))

    def status_report(self, ids: "Any") -> bool:
        def work(agent: Agent, ids: "list[int]") -> bool:
            fields = self._board.status(ids)
            if not fields:
                raise _Refused("statusReport: this machine has none of these")
            return self._send(agent, "statusReport", commands.STATUS_REPORT, ttlv.encode(fields), 1, None) > 0

        return bool(self._do("statusReport", (ids,), work))

    def get_dev_status(self, ids: "Any") -> "dict[int, Any] | None":
        def work(agent: Agent, ids: "list[int]") -> "dict[int, Any]":
            return dict(self._board.status(ids))

        answer: "dict[int, Any] | None" = self._do("getDevStatus", (ids,), work, None)
        return answer

    def dev_info_report(self, ids: "Any") -> bool:
        def work(agent: Agent, ids: "list[int]") -> bool:
            payload = ttlv.encode(agent.information(ids))
            return self._send(agent, "devInfoReport", commands.INFO_REPORT, payload, 1, None) > 0

        return bool(self._do("devInfoReport", (ids,), work))

    def get_dev_info(self, ids: "Any") -> "dict[int, str] | None":
        def work(agent: Agent, ids: "list[int]") -> "dict[int, str]":
            return dict(agent.information(ids))

        answer: "dict[int, str] | None" = self._do("getDevInfo", (ids,), work, None)
        return answer
