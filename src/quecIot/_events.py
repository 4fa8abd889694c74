"""Tells the script what happened: one event at a time, in order, on a thread of its own.

An exception in the callback is logged and harms nothing. A callback that never returns stops further events and
nothing else: the oldest of too many waiting events are dropped, counted in the log.
"""

from quecIot import _platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_WAITING = 256


class Events:
    def __init__(self) -> None:
        self._lock = _platform.new_lock()
        self._waiting: "list[tuple[Any, ...]]" = []
        self._callback: "Callable[[tuple[Any, ...]], object] | None" = None
        self._dropped_count = 0
        self._is_running = False
        self._is_stopped = False
        # a lock as a bell: held while there is nothing to do, let go by whoever brings something
        self._bell = _platform.new_lock()
        self._bell.acquire()

    def set_callback(self, callback: "Callable[[tuple[Any, ...]], object]") -> None:
        with self._lock:
            self._callback = callback

    def put(self, events: "list[tuple[Any, ...]]") -> None:
        if not events:
            return
        with self._lock:
            self._waiting = self._waiting + events
            excess = len(self._waiting) - MAX_WAITING
            if excess > 0:
                self._waiting = self._waiting[excess:]
                self._dropped_count += excess
            if not self._is_running:
                self._is_running = True
                _platform.start_thread(self._run, "quecIot events")
            self._ring()

    def stop(self) -> None:
        """Ends the thread after the event it is at; what waits is dropped."""
        with self._lock:
            self._is_stopped = True
            self._ring()

    def _ring(self) -> None:
        if self._bell.locked():
            self._bell.release()

    def _run(self) -> None:
        while True:
            self._bell.acquire()
            while True:
                with self._lock:
                    if self._is_stopped:
                        return
                    if not self._waiting:
                        break
                    event = self._waiting.pop(0)
                    callback = self._callback
                    dropped_count, self._dropped_count = self._dropped_count, 0
                if dropped_count:
                    _platform.log(_platform.WARNING, "the callback is too slow: %d events lost" % dropped_count)
                if callback is not None:
                    self._call(callback, event)

    def _call(self, callback: "Callable[[tuple[Any, ...]], object]", event: "tuple[Any, ...]") -> None:
        try:
            callback(event)
        except BaseException as error:  # noqa: BLE001 - whatever a script does, sys.exit too, the agent lives on
            _platform.log_exception("the callback failed at event %d,%d" % (event[0], event[1]), error)
