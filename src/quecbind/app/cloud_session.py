"""An App's connection with the Developer Center's WebSocket v1, for one device: JSON in, JSON and happenings out.

The story: log in with the access token, subscribe to the device, and then ask (READ-ATTR, WRITE-ATTR, RAW) and listen.
An answer to a question names its msgId. So does an error of ours; one that names none belongs to the oldest question
that somebody waits for, else to one that was given up. When the user loses the device the session is over. No I/O and
no clock: the keep-alive is the transport's own ping.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quecbind.app.errors import ControlError

MAX_TEXT = 65536
MAX_WAITING = 64
_MAX_MESSAGE_ID = 2_147_483_647
_OK = 1
_TYPES = ("MATTR-REPORT", "RAW-UPLINK")


@dataclass(frozen=True, slots=True)
class Opened:
    """The device can be asked, and is listened to."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The platform does not let this user at this device. The session is over."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Reported:
    """Properties by code or number, as the platform calls them."""

    kv: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RawReported:
    data: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """How a question went: code 1 is well, others are the platform's."""

    message_id: int
    code: int
    message: str

    @property
    def is_done(self) -> bool:
        return self.code == _OK


@dataclass(frozen=True, slots=True)
class Over:
    reason: str


Happening = Opened | Refused | Reported | RawReported | Answered | Over

_LOGGING_IN, _SUBSCRIBING, _OPEN, _OVER = range(4)


class CloudSession:
    """One connection, begun with a log-in that is ready to be sent."""

    def __init__(self, product_key: str, device_key: str, token: str, uid: str = "") -> None:
        """`uid` is the user's own: what happens to the rights of others changes nothing here."""
        self._uid = uid
        self._keys = {"productKey": product_key, "deviceKey": device_key}
        self._phase = _LOGGING_IN
        self._out: list[str] = []
        self._message_id = 0
        self._waiting: list[int] = []
        self._given_up: list[int] = []
        self._send("login", {"token": token})

    def texts_to_send(self) -> list[str]:
        """The messages to send now; asking takes them away."""
        texts, self._out = self._out, []
        return texts

    def read(self, names: Sequence[str | int]) -> int:
        """Asks the device for properties, all when there are no names; the msgId of the question."""
        return self._ask("READ-ATTR", {"kv": json.dumps(list(names))})

    def write(self, kv: Mapping[str, Any]) -> int:
        """Sets properties; the msgId of the question."""
        return self._ask("WRITE-ATTR", {"kv": json.dumps(dict(kv))})

    def send_raw(self, data: bytes) -> int:
        return self._ask("RAW", {"raw": base64.b64encode(data).decode(), "dataFormat": "Base64"})

    def give_up(self, message_id: int) -> None:
        """Nobody waits for that answer any more; nothing happens when it has come."""
        if message_id in self._waiting:
            self._waiting.remove(message_id)
            self._given_up = [*self._given_up[1 - MAX_WAITING :], message_id]

    def receive(self, text: str | bytes) -> Happening | None:
        """What a message means; None when it means nothing here."""
        if self._phase == _OVER:
            return None
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(message, dict):
            return None
        command, data = message.get("cmd"), message.get("data")
        if command == "error":
            return self._refused(data)
        if command == "login_resp" and self._phase == _LOGGING_IN:
            if isinstance(data, dict) and data.get("code", _OK) != _OK:
                return self._refused(data)
            self._phase = _SUBSCRIBING
            self._send("subscribe", [{**self._keys, "messageType": list(_TYPES)}])
            return None
        if command == "subscribe_resp" and self._phase == _SUBSCRIBING:
            return self._subscribed(data)
        if command == "send_ack":
            return self._answered(data)
        if command == "message" and self._phase == _OPEN:
            return self._told(data)
        return None

    def _subscribed(self, data: object) -> Happening | None:
        answers = [one for one in (data if isinstance(data, list) else [data]) if isinstance(one, dict)]
        for answer in answers:
            if answer.get("code", _OK) != _OK:
                return self._refused(answer)
        self._phase = _OPEN
        return Opened()

    def _refused(self, data: object) -> Happening | None:
        facts = data if isinstance(data, dict) else {}
        code, message = _number(facts.get("code")), str(facts.get("msg") or "")
        message_id = _number(facts.get("msgId"))
        if message_id in self._waiting:
            self._waiting.remove(message_id)
            return Answered(message_id, code, message)
        if message_id in self._given_up:
            self._given_up.remove(message_id)
            return None
        if self._phase == _OPEN and self._waiting:
            return Answered(self._waiting.pop(0), code, message)
        if self._phase == _OPEN and self._given_up:
            del self._given_up[0]
            return None
        if self._phase == _OPEN:
            return self._over(f"the platform ended it: {message} ({code})")
        self._phase = _OVER
        return Refused(code, message)

    def _answered(self, data: object) -> Happening | None:
        facts = data if isinstance(data, dict) else {}
        message_id = _number(facts.get("msgId"))
        if message_id in self._given_up:
            self._given_up.remove(message_id)
        if message_id not in self._waiting:
            return None
        self._waiting.remove(message_id)
        well = facts.get("status") in {"succ", None}
        return Answered(message_id, _OK if well else 0, "" if well else "the device did not take it")

    def _told(self, data: object) -> Happening | None:
        data = _opened(data)
        content = None if data is None else _opened(data.get("data"))
        if data is None or content is None:
            return None
        if any(data.get(name) != key for name, key in self._keys.items()):
            return None
        if data.get("type") == "ENDUSER":
            is_ours = self._uid in {"", str(content.get("endUserId"))}
            return self._over("the device is no longer this user's") if is_ours and content.get("value") != 1 else None
        return _meaning(data.get("type"), content)

    def _over(self, reason: str) -> Over:
        self._phase = _OVER
        return Over(reason)

    def _ask(self, kind: str, content: dict[str, Any]) -> int:
        if self._phase != _OPEN:
            raise ControlError("there is no session with the platform")
        if len(self._waiting) >= MAX_WAITING:
            raise ControlError("too many questions wait for the platform's answer")
        self._message_id = self._message_id % _MAX_MESSAGE_ID + 1
        self._waiting.append(self._message_id)
        self._send("send", {**self._keys, "type": kind, "msgId": self._message_id, **content})
        return self._message_id

    def _send(self, command: str, data: object) -> None:
        self._out.append(json.dumps({"cmd": command, "data": data}))


def _opened(given: object) -> dict[str, Any] | None:
    """An object, or one in a text: so comes a change of binding, the whole message or what is in it."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return None
    return given if isinstance(given, dict) else None


def _meaning(kind: object, content: dict[str, Any]) -> Happening | None:
    if kind == "MATTR":
        kv = content.get("kv")
        return Reported(kv) if isinstance(kv, dict) else None
    if kind == "RAW":
        try:
            return RawReported(base64.b64decode(str(content.get("raw") or ""), validate=True))
        except (ValueError, binascii.Error):
            return None
    return None


def _number(value: object) -> int:
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError):
        return 0
