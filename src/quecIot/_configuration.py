"""What the Developer Center configures (0x00B4), taken into the profile; whether the connection is over with it.

Nothing here touches the link: `_agent` says what becomes of it, and takes the device secret of an enrolment itself,
for that is a step of the log-in. No I/O but the store's, no clock.
"""

from quecbind.wire.errors import CipherError
from quecIot._options import split_server
from quecIot._store import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from quecIot._bind_window import BindWindow
    from quecIot._profile import Profile

STAYS, NEW_IDENTITY, NEW_PLACE = range(3)


class Configuration:
    def __init__(self, profile: "Profile", window: "BindWindow", log: "Callable[[str, str], None]") -> None:
        self._profile = profile
        self._window = window
        self._log = log

    def take_auth_key(self, sealed: bytes) -> bool:
        """True when the key is the answer to the bind code report: somebody was bound by that code."""
        before = self._profile.auth_key
        has_served = False
        try:
            self._profile.take_auth_key(sealed)
            has_served = self._profile.auth_key not in (None, before) and self._window.served()
        except CipherError as error:
            # sealed some other way, or by somebody else: the key the device has stays
            self._log("warning", "configuration: %s; left out" % error)
        except StoreError as error:
            self._log("error", str(error))
        return has_served

    def take(self, asked: "Any", now: float) -> int:
        """Server, product and secret of `_downlink`'s decision. Unless it STAYS, the device has to log in anew."""
        profile = self._profile
        server = self._new_server(asked.server)
        product = (asked.product_key, asked.product_secret)
        if product == (profile.product_key, profile.product_secret):
            product = ("", "")
        secret = asked.new_secret
        if asked.authenticate or secret == profile.device_secret:
            secret = ""
        outcome = NEW_IDENTITY
        if server or product[0]:
            profile.try_place(server, product[0], product[1], secret)
            outcome = NEW_PLACE
        elif secret:
            try:
                profile.replace_secret(secret)
            except StoreError as error:
                self._log("error", str(error))
                return STAYS
            self._window.tell_again(now)
        elif not asked.authenticate:
            return STAYS
        if asked.authenticate:
            try:
                profile.set_secret_aside()
            except StoreError as error:
                self._log("error", str(error))
            if self._window.is_used:
                self._window.forget()  # who owned the device until this reset knows it
        return outcome

    def _new_server(self, asked: "tuple[bool, str, int] | None") -> str:
        """The server to move to as text; empty when it is none, or this one. TLS is never given up."""
        present = split_server(self._profile.server)
        if asked is None or present is None or asked[1:] == present[1:]:
            return ""
        tls = asked[0] or present[0]
        return "%s://%s:%d" % ("mqtts" if tls else "mqtt", asked[1], asked[2])
