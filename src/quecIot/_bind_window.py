"""The time in which a bind code is accepted, and whether the Developer Center has been told of it.

Counted on a monotonic clock that is handed in; a restart therefore closes it. It is told once per identity: told
again after a bind, the Developer Center would take a used code for a fresh one.
"""


class BindWindow:
    """
    Attributes:
        is_due: whether the Developer Center still has to be told, of the window or of its end.
        is_used: whether somebody was bound since this window was told of.
    """

    def __init__(self, left_open: "str | None" = None) -> None:
        """`left_open`: the code of a window that a restart closed and the Developer Center may still hold."""
        self._code = left_open
        self._opened_at = 0.0
        self._seconds = 0
        self._is_open = False
        self.is_due = left_open is not None
        self.is_used = False
        self._serial = 0  # grows with every change, so that an answer to an older report settles nothing
        self._sent = -1  # the serial of the last report that was made

    def open(self, code: str, seconds: int, now: float) -> None:
        """Replaces code and time; 0 seconds close the window."""
        self._code = code
        self._opened_at = now
        self._seconds = seconds
        self._is_open = seconds > 0
        self.is_due = True
        self.is_used = False
        self._serial += 1

    def forget(self) -> None:
        """No code, and nothing to tell: the reset that called for this is told by other means."""
        self._code = None
        self._is_open = False
        self.is_due = False
        self._serial += 1

    def seconds_left(self, now: float) -> int:
        """Whole seconds, the begun one counted; 0 when it is closed."""
        if not self._is_open:
            return 0
        # in whole numbers: a float of a clock and 2**32 seconds together would round up past the range
        return max(0, self._seconds - int(now - self._opened_at))

    def ends_at(self, now: float) -> "float | None":
        """When the window will have ended by itself; None when it is closed."""
        return self._opened_at + self._seconds if self.seconds_left(now) else None

    def code(self, now: float) -> "str | None":
        """The code while the window is open."""
        return self._code if self.seconds_left(now) else None

    def tell_again(self, now: float) -> None:
        """The Developer Center knows this device under a new identity, or is another one."""
        if self.seconds_left(now):
            self.is_due = True
            self._serial += 1

    def served(self) -> bool:
        """Somebody was bound. True when it was by this code: it was sent, the answer is missing, and this is one.

        Else it would be told again, and a used code be taken for a fresh one.
        """
        if not self._is_open or self._sent != self._serial:
            return False
        self.is_used = True
        if not self.is_due:
            return False
        self.is_due = False
        self._serial += 1
        return True

    def report(self, now: float) -> "tuple[str, int, int] | None":
        """Code, seconds left and serial to tell, or None. A window that ended by itself need not be told."""
        if not self.is_due or self._code is None:
            return None
        left = self.seconds_left(now)
        if self._is_open and not left:
            self.is_due = False
            return None
        self._sent = self._serial
        return self._code, left, self._serial

    def told(self, serial: int) -> bool:
        """The Developer Center has that report; True when it was the end of the code altogether."""
        if serial != self._serial or not self.is_due:
            return False
        self.is_due = False
        return not self._is_open
