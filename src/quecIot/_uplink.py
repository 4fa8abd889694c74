"""The I/O thread of the link to the Developer Center: opens the connection the agent wants, and carries its bytes.

The device's lock is held while the agent thinks and never while a socket is waited for, so no caller waits for the
network. Nothing is decided here.
"""

from quecIot import _platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from quecIot._agent import Agent, Link

CONNECT_S = 10.0
MAX_UNSENT = 64 * 1024
_AFTER_ERROR_S = 1.0


class Uplink:
    def __init__(self, agent: "Agent", lock: "Any", flush: "Callable[[], None]", ca_file: str, verify: bool) -> None:
        """`flush` is called with the lock held, after anything that may have made events."""
        self._agent = agent
        self._lock = lock
        self._flush = flush
        self._ca_file = ca_file
        self._verify = verify
        self._wake = _platform.Wake()
        self._stream: "_platform.Stream | None" = None
        self._number = 0
        self._unsent = b""
        self._is_stopped = False

    def start(self) -> None:
        _platform.start_thread(self._run, "quecIot uplink")

    def wake(self) -> None:
        """The agent has something new to do."""
        self._wake.set()

    def stop(self) -> None:
        self._is_stopped = True
        self._wake.set()

    def _run(self) -> None:
        while not self._is_stopped:
            try:
                self._step()
            except Exception as error:  # noqa: BLE001 - a device must come back whatever went wrong
                _platform.log_exception("uplink: unexpected", error)
                self._lose()
                _platform.wait([self._wake.socket], [], _AFTER_ERROR_S)
        self._close()
        self._wake.close()

    def _step(self) -> None:
        self._wake.clear()
        with self._lock:
            now = _platform.monotonic()
            self._agent.handle_timer(now)
            link = self._agent.link()
            data = b""
            is_open = link is not None and link.number == self._number and self._stream is not None
            if is_open and len(self._unsent) < MAX_UNSENT:
                data = self._agent.data_to_send()
            timer = self._agent.next_timer()
            self._flush()
        if link is None or link.number != self._number:
            self._close()
        if link is None:
            with self._lock:
                self._agent.link_closed()
                self._flush()
        elif self._stream is None:
            self._open(link)
            return
        self._unsent += data
        if not self._carry():
            return
        stream = self._stream
        readers = [self._wake.socket]
        if stream is not None:
            readers.append(stream.socket)
        writers = [stream.socket] if stream is not None and self._unsent else []
        _platform.wait(readers, writers, None if timer is None else timer - now)

    def _carry(self) -> bool:
        """Writes and reads what it can; False when there may be more to do at once."""
        stream = self._stream
        if stream is None:
            return True
        try:
            if self._unsent:
                self._unsent = self._unsent[stream.write(self._unsent) :]
            data = stream.read()
        except (OSError, ValueError) as error:
            _platform.log(_platform.INFO, "connection lost: %s" % _platform.describe(error))
            self._lose()
            return False
        if data is None:
            return True
        if not data:
            self._lose()
            return False
        with self._lock:
            link = self._agent.link()
            if link is not None and link.number == self._number:
                self._agent.receive_data(data, _platform.monotonic())
            self._flush()
        return False

    def _open(self, link: "Link") -> None:
        if link.tls and not self._verify:
            _platform.log(_platform.WARNING, "QUECIOT_TLS_INSECURE=1: the server's certificate is not verified")
        try:
            stream = _platform.connect(link.host, link.port, link.tls, self._ca_file, self._verify, CONNECT_S)
        except (OSError, ValueError) as error:
            sentence = "%s:%d cannot be reached: %s" % (link.host, link.port, _platform.describe(error))
            _platform.log(_platform.WARNING, sentence)
            with self._lock:
                self._agent.link_failed(link.number, _platform.monotonic())
                self._flush()
            return
        self._stream = stream
        self._number = link.number
        with self._lock:
            self._agent.link_up(link.number, _platform.monotonic())
            self._flush()

    def _lose(self) -> None:
        """The connection is gone, and not because the agent wanted it."""
        self._close()
        with self._lock:
            self._agent.link_lost(self._number, _platform.monotonic())
            self._flush()

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._unsent = b""
