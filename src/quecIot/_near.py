"""The device as Apps nearby see it, over LAN and BLE: what they may know, what they may ask for, who lets them in.

Everything here is called from the threads of the two transports, or from the script's; the device's lock is held for
as long as a look or a store write takes, and never while another lock is asked for.
"""

from quecbind.wire import ble_advertising, commands, lan, ttlv
from quecIot import _codes, _downlink, _platform
from quecIot._ble import Peripheral
from quecIot._ble_binding import BleBinding
from quecIot._chip import ChipDoor, ChipHost, ChipPeripheral
from quecIot._chip_accounts import Accounts
from quecIot._conversation import Host
from quecIot._events import Events
from quecIot._lan import LanServer
from quecIot._sealed import Pin, Sealing
from quecIot._session import Door, fits
from quecIot._store import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from quecIot._agent import Agent
    from quecIot._bind_window import BindWindow
    from quecIot._ble_radio import BleServer
    from quecIot._board import Board
    from quecIot._draw import Entropy
    from quecIot._lan import Settings
    from quecIot._profile import Profile
    from quecIot._session import Accept, Key, Offers


class _Door(Door):
    """The door of LAN and BLE, whose threads meet here; its lock is never held by who holds the device's."""

    def __init__(self, key: "Key", offers: "Offers", accept: "Accept") -> None:
        Door.__init__(self, key, offers, accept)
        self._lock = _platform.new_lock()

    def open(self, source: str, random: str, token: str, now: float) -> "bytes | None":
        with self._lock:
            return Door.open(self, source, random, token, now)

    def number_read(self, packet_id: int) -> int:
        with self._lock:
            return Door.number_read(self, packet_id)

    def read_is_answered(self, number: int) -> None:
        with self._lock:
            Door.read_is_answered(self, number)


class Near:
    """
    Attributes:
        pin: the PIN of sealed pairing; with the device's lock held.
        door: judges the log-ins of Apps.
        chip_door: judges them instead where the device is a BLE chip; else None.
        lan: the LAN side, None while there is none.
        ble: the BLE side, None likewise.
    """

    def __init__(
        self,
        lock: "Any",
        agent: "Agent",
        profile: "Profile",
        window: "BindWindow",
        board: "Board",
        events: Events,
        wake: "Callable[[], None]",
        entropy: "Entropy",
        monotonic: "Callable[[], float]",
        is_ble_only: bool,
        is_chip: bool = False,
    ) -> None:
        """
        Args:
            lock: the device's.
            events: what the script is told.
            wake: tells the link to the Developer Center that there is something to send.
            is_chip: over BLE the device is one of the generation before (`_chip`).
        """
        self.pin = Pin()
        self.chip_door = ChipDoor(lock, Accounts(profile), window, _platform.log) if is_chip else None
        self.door = _Door(self.auth_key, self._offered_keys, self._accept_key)
        self.lan: "LanServer | None" = None
        self.ble: "BleServer | None" = None
        self._lock = lock
        self._agent = agent
        self._profile = profile
        self._window = window
        self._board = board
        self._events = events
        self._wake = wake
        self._entropy = entropy
        self._monotonic = monotonic
        self._is_ble_only = is_ble_only
        self._sealing = Sealing(self.terms, self.settle, _platform.agree, monotonic())
        self._ble_binding = BleBinding(profile)
        self._wifi = Events()
        self._takes_wifi = False

    # --- the transports ---

    def start_lan(self, settings: "Settings", files: "_platform.Files") -> None:
        if not settings.is_on or self._is_ble_only:
            return
        server = LanServer(settings, Host(self.identity, self.door, self.carry_out, self._sealing), files)
        try:
            server.start()
        except OSError as error:
            sentence = "LAN discovery and pairing are off, a port cannot be used: %s" % _platform.describe(error)
            _platform.log(_platform.WARNING, sentence)
            return
        self.lan = server

    def start_ble(self, transport: str) -> None:
        try:
            from quecIot._ble_radio import BleServer
        except ImportError:
            _platform.log(_platform.WARNING, "BLE is off: it needs CPython and the package bumble")
            return
        self.ble = BleServer(self.ble_peripheral(), transport)
        self.ble.start()

    def ble_peripheral(self) -> Peripheral:
        """The device as a BLE peripheral, for whoever has a radio."""
        if self.chip_door is not None:
            chip = ChipHost(self.identity, self.chip_door, self.carry_out)
            return self._peripheral(ChipPeripheral, chip, ble_advertising.BLE)
        host = Host(self.identity, self.door, self.carry_out, self._sealing, self._take_wifi)
        capabilities = ble_advertising.BLE
        if self._is_ble_only:
            host.authenticate, host.release = self._take_ble_code, self._release_ble
        else:
            capabilities |= ble_advertising.WAN | ble_advertising.LAN
        return self._peripheral(Peripheral, host, capabilities)

    def _peripheral(self, kind: "type[Peripheral]", host: Host, capabilities: int) -> Peripheral:
        return kind(host, self._has_network, self._window_ends_at, capabilities, self._entropy, _platform.log)

    def stop(self) -> None:
        if self.lan is not None:
            self.lan.stop()
        if self.ble is not None:
            self.ble.stop()
        self._wifi.stop()

    # --- what the script and the Developer Center change ---

    def refresh(self) -> None:
        """What is advertised may have changed."""
        if self.ble is not None:
            self.ble.refresh()

    def report(self, command: int, payload: bytes) -> bool:
        """Tells every App that is logged in, whether the Developer Center can be told or not. False: not all of it."""
        if self.lan is not None:
            self.lan.report(command, payload)
        if self.ble is not None:
            self.ble.report(command, payload)
        return self._fits(command, payload)

    def answer_read(self, packet_id: int, payload: bytes) -> bool:
        """Tells the properties to whichever App has asked for them by that packet id; False when none has."""
        is_for_app = self.lan is not None and self.lan.answer_read(packet_id, payload)
        if self.ble is not None and self.ble.answer_read(packet_id, payload):
            is_for_app = True
        if is_for_app:
            self._fits(commands.TSL_REPORT, payload)
        return is_for_app

    @staticmethod
    def _fits(command: int, payload: bytes) -> bool:
        if fits(command, payload):
            return True
        _platform.log(_platform.WARNING, "Apps nearby are not told: over %d bytes fit in no frame" % lan.MAX_DATA)
        return False

    def set_provision_callback(self, callback: "Callable[[str, str], object]") -> None:
        """Whom networks are handed to; with the device's lock held."""
        self._wifi.set_callback(lambda event: callback(event[2], event[3]))
        self._takes_wifi = True

    # --- what Apps may know ---

    def identity(self) -> "tuple[str, str, str | None]":
        with self._lock:
            code = None if self.pin.text else self._window.code(self._monotonic())
            return self._profile.product_key, self._profile.device_key, code

    def auth_key(self) -> "bytes | None":
        with self._lock:
            return self._profile.auth_key

    def _has_network(self) -> bool:
        with self._lock:
            return self._agent.mode == 1

    def _window_ends_at(self) -> "float | None":
        with self._lock:
            return self._window.ends_at(self._monotonic())

    # --- sealed pairing ---

    def terms(self) -> "tuple[str, str, str] | None":
        """PIN, product key and device key while there are a PIN and an open bind window."""
        with self._lock:
            if not self.pin.text or self._window.code(self._monotonic()) is None:
                return None
            return self.pin.text, self._profile.product_key, self._profile.device_key

    def settle(self, pin: str, is_right: bool) -> "str | int | None":
        """One try with the PIN: the bind code, or how many tries are left. The last wrong one closes the window."""
        with self._lock:
            now = self._monotonic()
            code = self._window.code(now)
            if code is None or pin != self.pin.text:
                return None
            if is_right:
                return code
            left = self.pin.miss()
            if not left:
                _platform.log(_platform.WARNING, "too many wrong PINs: the bind window is closed")
                self._window.open(code, 0, now)
                self._agent.report_bind_code(now)
        self._wake()
        return left

    # --- a network, and a binding without one ---

    def _take_wifi(self, ssid: str, password: str) -> bool:
        """Hands a network to the script; False when it has not said that it wants one, or can have none."""
        with self._lock:
            is_taken = self._takes_wifi and not self._is_ble_only
            if is_taken:
                self._wifi.put([(_codes.PROVISION, _codes.OK, ssid, password)])
        if not is_taken:
            reason = "this device has BLE only" if self._is_ble_only else "setProvisionCB was not called"
            _platform.log(_platform.WARNING, "provisioning: nobody takes Wi-Fi settings, " + reason)
        return is_taken

    def _take_ble_code(self, payload: bytes, random: str) -> bytes:
        with self._lock:
            is_bindable = self._window.code(self._monotonic()) is not None
            try:
                return self._ble_binding.authenticate(payload, random, is_bindable)
            except StoreError as error:
                _platform.log(_platform.ERROR, "BLE binding: %s" % error)
                return self._ble_binding.authenticate(b"", "", False)

    def _release_ble(self, payload: bytes) -> bytes:
        with self._lock:
            try:
                answer = self._ble_binding.release(payload)
            except StoreError as error:
                _platform.log(_platform.ERROR, "BLE unbinding: %s" % error)
                answer = self._ble_binding.release(b"")
        self.refresh()
        return answer

    def _offered_keys(self) -> "list[bytes]":
        with self._lock:
            return self._ble_binding.keys()

    def _accept_key(self, key: bytes) -> bool:
        """A binding without a network is complete: its code is the auth key, and the window closes."""
        with self._lock:
            try:
                self._ble_binding.accept(key)
            except StoreError as error:
                _platform.log(_platform.ERROR, "BLE binding: %s" % error)
                return False
            self._window.forget()
        self.refresh()
        return True

    # --- what Apps that have logged in ask for ---

    def carry_out(self, decision: "tuple[Any, ...]") -> bytes:
        """Does it; the payload of the answer, or b""."""
        with self._lock:
            if decision[0] == _downlink.ANSWER_STATUS:
                fields = self._board.status(decision[1])
                return ttlv.encode(fields) if fields else b""
            if decision[0] == _downlink.EVENT:
                self._events.put([(_codes.RECV, decision[1], decision[2])])
        return b""
