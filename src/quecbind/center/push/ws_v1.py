"""WebSocket v1 (app-api.md D1): commands of an App as JSON, answers and messages as JSON. No I/O and no clock.

The story: connect, log in within the time limit, subscribe, listen. A WebSocket ping, a message or {"cmd": "pong"}
keeps the connection; 130 seconds without any ends it. A device that is not the user's, one that does not exist and one
whose keys cannot be keys are answered alike.
"""

import base64
import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from quecbind.center.domain import control, json_text
from quecbind.center.domain.control import Command
from quecbind.center.domain.ids import ClientId, is_device_key, is_product_key
from quecbind.center.domain.rates import Pace
from quecbind.center.domain.refusal import Refused
from quecbind.center.push import messages
from quecbind.center.push.messages import Json
from quecbind.center.services.changes import Change, Controlled, PresenceChanged, RightChanged
from quecbind.center.services.handed import Handed, NotHanded, Why
from quecbind.center.services.subscriber import MessageKind, Subscriber

SILENCE_S: Final = 130

OK: Final = 1
JSON_FORMAT = 4002
COMMAND_EMPTY = 4003
COMMAND_UNKNOWN = 4004
DATA_EMPTY = 4005
DATA_FORMAT = 4006
TOKEN_EMPTY = 4007
TOKEN_WRONG = 4008
LOGGED_IN_ALREADY = 4009
NOT_LOGGED_IN = 4010
NOT_BOUND = 4011
TYPE_UNKNOWN = 4012
NOT_SUBSCRIBED = 4014
OPERATION_UNKNOWN = 4015
NOT_SENT = 4017
TOO_FAST = 4019
NO_MODEL = 4020
PRODUCT_KEY_EMPTY = 4021
PRODUCT_KEY_FORMAT = 4022
DEVICE_KEY_EMPTY = 4023
DEVICE_KEY_FORMAT = 4024
TYPE_EMPTY = 4025
OPERATION_EMPTY = 4026
TOO_MANY = 4027
PROPERTY_FORMAT = 4028
MESSAGE_ID = 4029
OFFLINE = 4030

SENTENCE_BY_CODE: Final = {
    OK: "succ",
    JSON_FORMAT: "this is not a JSON object",
    COMMAND_EMPTY: "cmd is missing",
    COMMAND_UNKNOWN: "there is no such cmd",
    DATA_EMPTY: "data is missing",
    DATA_FORMAT: "data has another form",
    TOKEN_EMPTY: "the token is missing",
    TOKEN_WRONG: "the token is not good, or too many connections are open with it",
    LOGGED_IN_ALREADY: "this connection is logged in already",
    NOT_LOGGED_IN: "log in first",
    NOT_BOUND: "the device is not bound",
    TYPE_UNKNOWN: "there is no such messageType",
    NOT_SUBSCRIBED: "this is not subscribed to",
    OPERATION_UNKNOWN: "there is no such type of operation",
    TOO_FAST: "too many messages",
    PRODUCT_KEY_EMPTY: "the product key is missing",
    PRODUCT_KEY_FORMAT: "the product key is malformed",
    DEVICE_KEY_EMPTY: "the device key is missing",
    DEVICE_KEY_FORMAT: "the device key is malformed",
    TYPE_EMPTY: "messageType is missing",
    OPERATION_EMPTY: "the type of operation is missing",
    TOO_MANY: "too many subscriptions",
    PROPERTY_FORMAT: "the properties are malformed",
    MESSAGE_ID: "msgId is a whole number of at most 20 digits",
}

_KINDS_BY_TYPE: Final[dict[str, tuple[MessageKind, ...]]] = {
    "ONLINE": ("presence",),
    "STATUS": ("status", "information"),
    "RAW-UPLINK": ("raw",),
    "MATTR-REPORT": ("properties",),
    "MEVENT-INFO": ("event_info",),
    "MEVENT-WARN": ("event_warn",),
    "MEVENT-ERROR": ("event_error",),
    "LOCATION-INFO-KV": ("location",),
}
_READ_BY_FORMAT: Final[dict[str, Callable[[str], bytes]]] = {
    "text": str.encode,
    "hex": control.from_hex,
    "base64": lambda raw: base64.b64decode(raw, validate=True),
}
_CODE_BY_WHY: Final[dict[Why, int]] = {
    "no right": NOT_BOUND,
    "not allowed": OPERATION_UNKNOWN,
    "malformed": PROPERTY_FORMAT,
    "no model": NO_MODEL,
    "too large": DATA_FORMAT,
    "offline": OFFLINE,
    "busy": NOT_SENT,
    "full": NOT_SENT,
    "failed": NOT_SENT,
}
_MAX_ITEMS: Final = 100
_MAX_MESSAGE_ID: Final = 10**20 - 1


class _RefusedError(Exception):
    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class WsV1Session:
    """One connection. `attach` gives it its subscriber; then `receive`, `heard` and `handle_timer` drive it."""

    def __init__(self) -> None:
        self._subscriber: Subscriber
        self._pace: Pace
        self._log_in_by = 0.0
        self._silent_at = 0.0
        self._token_ends_at: float | None = None
        self._online: set[ClientId] = set()

    def attach(self, subscriber: Subscriber, now: float) -> None:
        """The connection begins. `now` is in seconds that never go back."""
        self._subscriber = subscriber
        self._pace = Pace(subscriber.limits)
        self._log_in_by = now + subscriber.limits.push_log_in_time_s
        self.heard(now)

    def heard(self, now: float) -> None:
        """The App is there: a ping, or anything else."""
        self._silent_at = now + SILENCE_S

    def next_timer(self) -> float:
        """When `handle_timer` has something to do at the earliest."""
        if self._subscriber.who is None:
            return min(self._log_in_by, self._silent_at)
        assert self._token_ends_at is not None
        return min(self._silent_at, self._token_ends_at)

    def handle_timer(self, now: float) -> None:
        """End the connection if its time is over."""
        if now < self.next_timer():
            return
        if self._token_ends_at is not None and now >= self._token_ends_at:
            self._error(TOKEN_WRONG)
            self._subscriber.end("token_expired")
        else:
            self._subscriber.end("silent" if self._subscriber.who is not None else "log_in_time")

    def receive(self, data: str | bytes, now: float) -> None:
        """Take one message of the App and answer it."""
        self.heard(now)
        if not self._pace.take(now):
            self._too_fast()
            return
        try:
            self._serve(data, now)
        except _RefusedError as refused:
            self._error(refused.code, refused.detail)

    def render(self, change: Change, now_ms: int, ticket: str) -> Iterable[str]:
        """How a change reads; see `services.subscriber.Render`."""
        online = 1
        if isinstance(change, Controlled):
            yield _command("send_ack", _result(change, now_ms))
            return
        if isinstance(change, PresenceChanged):
            online = 2 if change.client_id in self._online else 1
            if change.is_online:
                self._online.add(change.client_id)
            else:
                self._online.discard(change.client_id)
        elif isinstance(change, RightChanged):
            self._online.discard(change.client_id)
        content = messages.message(change, now_ms, ticket, online)
        if content is not None:
            yield _command("message", content)

    def _serve(self, data: str | bytes, now: float) -> None:
        try:
            request = json_text.loads(data)
        except ValueError:
            raise _RefusedError(JSON_FORMAT) from None
        if not isinstance(request, dict):
            raise _RefusedError(JSON_FORMAT)
        command = request.get("cmd")
        if not command:
            raise _RefusedError(COMMAND_EMPTY)
        if not isinstance(command, str):
            raise _RefusedError(COMMAND_UNKNOWN)
        content = request.get("data")
        if command in {"pong", "ping"}:
            return
        if command == "login":
            self._log_in(content, now)
        elif command == "send":
            self._send(content)
        elif command not in {"subscribe", "unsubscribe"}:
            raise _RefusedError(COMMAND_UNKNOWN)
        elif self._subscriber.who is None:
            raise _RefusedError(NOT_LOGGED_IN)
        else:
            self._change_subscriptions(command, content, now)

    def _log_in(self, content: object, now: float) -> None:
        if self._subscriber.who is not None:
            raise _RefusedError(LOGGED_IN_ALREADY)
        token = _object(content).get("token")
        if not token:
            raise _RefusedError(TOKEN_EMPTY)
        answer, seconds_left = self._subscriber.log_in(token) if isinstance(token, str) else ("refused", 0.0)
        if answer != "ok":
            # Whoever guesses tokens pays with a connection for each.
            self._answer("login_resp", {"code": TOKEN_WRONG, "msg": SENTENCE_BY_CODE[TOKEN_WRONG]})
            self._subscriber.end("log_in_refused" if answer == "refused" else "refused_user")
            return
        self._token_ends_at = now + seconds_left
        self._answer("login_resp", {"code": OK, "msg": SENTENCE_BY_CODE[OK]})

    def _change_subscriptions(self, command: str, content: object, now: float) -> None:
        if not content:
            raise _RefusedError(DATA_EMPTY)
        items = content if isinstance(content, list) else [content]
        if len(items) > _MAX_ITEMS:
            raise _RefusedError(TOO_MANY)
        if not self._pace.take(now, len(items) - 1):
            self._too_fast()
            return
        answers = []
        for item in items:
            asked = _object(item)
            shown = {
                name: asked[name]
                for name in ("productKey", "deviceKey", "messageType")
                if isinstance(asked.get(name), str | list)
            }
            try:
                self._change_subscription(command, asked)
                answers.append({**shown, "code": OK, "msg": SENTENCE_BY_CODE[OK]})
            except _RefusedError as refused:
                answers.append({**shown, "code": refused.code, "msg": refused.detail or SENTENCE_BY_CODE[refused.code]})
        self._answer(command + "_resp", answers)

    def _change_subscription(self, command: str, asked: Json) -> None:
        types = asked.get("messageType")
        if not types and command == "unsubscribe":
            types = list(_KINDS_BY_TYPE)
        if not types:
            raise _RefusedError(TYPE_EMPTY)
        types = types if isinstance(types, list) else [types]
        if not all(isinstance(each, str) and each in _KINDS_BY_TYPE for each in types):
            raise _RefusedError(TYPE_UNKNOWN)
        kinds = [kind for each in types for kind in _KINDS_BY_TYPE[each]]
        client_id = self._device(asked)
        if command == "unsubscribe":
            if not self._subscriber.unsubscribe(client_id, kinds):
                raise _RefusedError(NOT_SUBSCRIBED)
            return
        done = self._subscriber.subscribe(client_id, kinds)
        if done != "ok":
            raise _RefusedError(NOT_BOUND if done == "no right" else TOO_MANY)

    def _send(self, content: object) -> None:
        message_id = _message_id(content)
        try:
            client_id, command = self._asked(content, message_id)
        except _RefusedError as refused:
            self._error(refused.code, refused.detail, msgId=message_id or 0)
            return

        now_ms, _ = self._subscriber.stamp()

        def sent(handed: Handed | NotHanded) -> None:
            # The answer to what is handed over is its result, when the device has acknowledged it or has not. What is
            # kept has its result some day, under no number: that it is kept is said now.
            if isinstance(handed, NotHanded):
                self._error(_CODE_BY_WHY[handed.why], handed.sentence, msgId=message_id)
            elif handed.is_kept:
                self._answer("send_ack", _kept(_object(content), handed.ticket, message_id, now_ms))

        self._subscriber.ask(client_id, command, message_id or 0, sent)

    def _asked(self, content: object, message_id: int | None) -> tuple[ClientId, Command]:
        if self._subscriber.who is None:
            raise _RefusedError(NOT_LOGGED_IN)
        asked = _object(content)
        operation = asked.get("type")
        if not operation:
            raise _RefusedError(OPERATION_EMPTY)
        if message_id is None:
            raise _RefusedError(MESSAGE_ID)
        command = _command_of(operation, asked)
        return self._device(asked), command

    def _device(self, asked: Json) -> ClientId:
        product_key, device_key = asked.get("productKey"), asked.get("deviceKey")
        if not product_key:
            raise _RefusedError(PRODUCT_KEY_EMPTY)
        if not isinstance(product_key, str) or not is_product_key(product_key):
            raise _RefusedError(PRODUCT_KEY_FORMAT)
        if not device_key:
            raise _RefusedError(DEVICE_KEY_EMPTY)
        if not isinstance(device_key, str) or not is_device_key(device_key):
            raise _RefusedError(DEVICE_KEY_FORMAT)
        client_id = self._subscriber.client_id_of(product_key, device_key)
        if client_id is None:
            raise _RefusedError(NOT_BOUND)
        return client_id

    def _too_fast(self) -> None:
        self._error(TOO_FAST)
        self._subscriber.end("too_fast")

    def _answer(self, command: str, content: object) -> None:
        self._subscriber.put(_command(command, content))

    def _error(self, code: int, detail: str = "", **more: object) -> None:
        self._answer("error", {"code": code, "msg": detail or SENTENCE_BY_CODE[code], **more})


def _command(command: str, content: object) -> str:
    return json.dumps({"cmd": command, "data": content}, separators=(",", ":"))


def _object(content: object) -> dict[str, Any]:
    if content is None:
        raise _RefusedError(DATA_EMPTY)
    if not isinstance(content, dict):
        raise _RefusedError(DATA_FORMAT)
    return content


def _message_id(content: object) -> int | None:
    """The App's own number for what it sends, 0 when it gives none; None for what is none."""
    given = content.get("msgId", 0) if isinstance(content, dict) else 0
    is_number = isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= _MAX_MESSAGE_ID
    return given if is_number else None


def _kept(asked: Json, ticket: str, message_id: int | None, now_ms: int) -> Json:
    keys = {name: asked[name] for name in ("productKey", "deviceKey")}
    times = {"createdAt": now_ms, "sentAt": 0, "ackAt": 0}
    return {"ticket": ticket, "msgId": message_id or 0, **keys, **times, "status": "succ"}


def _result(change: Controlled, now_ms: int) -> Json:
    return {
        "ticket": change.ticket,
        "msgId": change.message_id,
        "productKey": change.product_key,
        "deviceKey": change.device_key,
        "createdAt": change.created_at,
        "sentAt": change.sent_at,
        "ackAt": now_ms,
        "status": "succ" if change.is_acknowledged else "fail",
    }


def _command_of(operation: object, asked: Json) -> Command:
    # Without a time it is for now or never: here an App need not give one.
    keep = messages.keep(asked) if asked.get("cacheTime") else None
    if isinstance(keep, Refused):
        raise _RefusedError(DATA_FORMAT, keep.sentence)
    if operation == "RAW":
        return Command("raw", raw=_raw(asked), keep=keep)
    kind = messages.KIND_BY_OPERATION.get(operation) if isinstance(operation, str) else None
    if kind is None:
        raise _RefusedError(OPERATION_UNKNOWN)
    try:
        return Command(kind, asked=json_text.loads(asked.get("kv")), keep=keep)
    except ValueError:
        raise _RefusedError(PROPERTY_FORMAT) from None


def _raw(asked: Json) -> bytes:
    raw, given = asked.get("raw"), asked.get("dataFormat") or "Text"
    read = _READ_BY_FORMAT.get(given.lower()) if isinstance(given, str) else None
    if not isinstance(raw, str) or not raw or read is None:
        raise _RefusedError(DATA_FORMAT)
    try:
        return read(raw)
    except ValueError:
        raise _RefusedError(DATA_FORMAT) from None
