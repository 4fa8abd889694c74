"""What must hold for any bytes that Apps and strangers send: parameters of a request, and both push protocols.

The promise: parameters or a `ParameterError`; an answer an App can read, or the end of its connection; never another
exception. A stream means the same however it is cut. The sessions are the real ones on a real hub, over storage that
grants the right to one device.
"""

import json
from collections.abc import Callable
from typing import Any

from quecbind.center.domain import tsl
from quecbind.center.domain.control import Command
from quecbind.center.domain.ids import Uid, UserDomain
from quecbind.center.domain.limits import PushLimits
from quecbind.center.domain.thing_model import ThingModel
from quecbind.center.http import parameters
from quecbind.center.http.limits import ParameterError
from quecbind.center.http.parameters import Parameters
from quecbind.center.push.mqtt_v2 import MqttV2Session
from quecbind.center.push.ws_v1 import WsV1Session
from quecbind.center.services import downlink
from quecbind.center.services.changes import Changes
from quecbind.center.services.downlink import Downlink, UnsendableError
from quecbind.center.services.handed import Handed, NotHanded
from quecbind.center.services.push import Hub
from quecbind.center.services.views import SignedIn
from quecbind.testing.clock import FakeClock
from quecbind.wire import frame, mqtt, ttlv
from quecbind.wire.errors import MqttError

ANN = SignedIn(Uid("C1"), UserDomain("App"), "session")
PRODUCT, DEVICE = "p11abc", "D1"
CLIENT = f"qd{PRODUCT}{DEVICE}"
MULTIPART = "multipart/form-data; boundary=b"
CONTENT_TYPES = ("", "application/json", "application/x-www-form-urlencoded", MULTIPART, "text/plain; charset=x")
MODEL = tsl.parse(
    {
        "properties": [
            {"id": 1, "code": "on", "dataType": "BOOL", "subType": "RW"},
            {"id": 2, "code": "warm", "dataType": "DOUBLE", "subType": "RW"},
            {"id": 3, "code": "list", "dataType": "ARRAY", "subType": "RW", "specs": {"dataType": "INT", "size": 3}},
            {
                "id": 4,
                "code": "both",
                "dataType": "STRUCT",
                "subType": "RW",
                "specs": [{"id": 5, "code": "text", "name": "t", "dataType": "TEXT"}],
            },
        ],
        "services": [{"id": 6, "code": "go", "name": "go", "subType": "ASYNC"}],
    }
)
NAMES = ("pk", "dk", "shareCode", "page", "isInit", "")


class OneRight:
    """Storage in which everybody signed in has a right to everything, and whoever has a token is signed in."""

    def read(self, _look: object) -> Any:
        return True, 1

    def signed_in(self, _authorization: str) -> tuple[SignedIn, float]:
        return ANN, 4_000_000_000.0


class Line:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    def is_ready(self) -> bool:
        return True

    def write(self, message: Any) -> None:
        self.written.append(message)

    def close(self, code: int) -> None:
        self.written.append(f"closed {code}" if isinstance(code, int) else code)

    def abort(self) -> None:
        self.written.append("aborted")


class Takes:
    """Devices that take whatever can be sent, with a thing model and without; the latter count."""

    def ask(
        self,
        _who: SignedIn,
        _client_id: str,
        asked: Command | Downlink,
        _sender: object,
        answer: Callable[[Handed | NotHanded], None],
    ) -> None:
        for model in (MODEL, None):
            try:
                frame = self._frame(asked, model)
            except UnsendableError as error:
                handed: Handed | NotHanded = NotHanded("no model" if error.is_named else "malformed", str(error))
                continue
            assert downlink.checked(Downlink(frame.command, frame.payload), model).payload == frame.payload
            handed = Handed("ticket")
        answer(handed)

    def _frame(self, asked: Command | Downlink, model: ThingModel | None) -> Downlink:
        if not isinstance(asked, Downlink):
            return downlink.encode(asked, model)
        if asked.command not in downlink.USER_COMMANDS:
            raise UnsendableError("no command of a user")
        return downlink.checked(asked, model)


def begin(session: WsV1Session | MqttV2Session) -> Line:
    """The session begins on a line of its own."""
    storage: Any = OneRight()
    limits = PushLimits(max_push_rate=1_000_000, push_queue_size=10**9)
    control: Any = Takes()
    hub = Hub(storage, storage, control, Changes(), clock=FakeClock(), limits=limits)
    line = Line()
    subscriber = hub.admit("10.1.1.1", line, session.render)
    assert subscriber is not None
    session.attach(subscriber, 0.0)
    return line


def fuzz_parameters(data: bytes) -> None:
    """The first byte chooses the content type, the second whether it is query, body or both."""
    content_type = CONTENT_TYPES[data[0] % len(CONTENT_TYPES)] if data else ""
    where, content = (data[1] % 3, data[2:]) if len(data) > 1 else (0, b"")
    query, body = (content, b"") if where == 0 else (b"", content) if where == 1 else content.partition(b"\0")[::2]
    for take in (lambda: [parameters.read(query, content_type, body)], lambda: parameters.rows(body)):
        try:
            found = take()
        except ParameterError:
            continue
        for each in found:
            ask(each)


def ask(given: Parameters) -> None:
    """What handlers ask of parameters."""
    repr(given)
    names = [*NAMES, *given._value_by_name]
    asked: list[Callable[[str], object]] = [
        given.text,
        given.texts,
        lambda name: given.whole(name, default=1, lowest=1, highest=9),
        lambda name: given.flag(name, default=False),
    ]
    for name in names:
        for one in asked:
            try:
                value = one(name)
            except ParameterError:
                continue
            for text in value if isinstance(value, list) else [value]:
                assert not isinstance(text, str) or (text.encode() is not None and "\0" not in text)
                assert not isinstance(text, int) or 0 <= text <= 9


def fuzz_ws_v1(data: bytes) -> None:
    """Each line is one message; a log-in comes before them."""
    session = WsV1Session()
    line = begin(session)
    session.receive(json.dumps({"cmd": "login", "data": {"token": "t"}}), 0.0)
    for message in data.split(b"\n"):
        before = len(line.written)
        session.receive(message, 0.0)
        try:
            session.receive(message.decode(), 0.0)
        except UnicodeDecodeError:
            continue
        assert len(line.written) - before <= 2, "a message has one answer"
    for written in line.written:
        if not written.startswith("closed"):
            assert json.loads(written)["cmd"], "an answer reads as one"


def conversation(data: bytes, size: int) -> tuple[list[str], list[bytes]]:
    """What an App hears that sends this in pieces: the packets, and how it ended."""
    session = MqttV2Session()
    line = begin(session)
    for at in range(0, len(data), size):
        if any(isinstance(each, str) for each in line.written):
            break
        session.receive(data[at : at + size], 0.0)
    stream = b"".join(each for each in line.written if isinstance(each, bytes))
    try:
        packets = mqtt.PacketReader(from_server=True).feed(stream)
    except MqttError as error:
        raise AssertionError("an answer reads as one") from error
    assert b"".join(packet.encode() for packet in packets) == stream
    return [each for each in line.written if isinstance(each, str)], [packet.encode() for packet in packets]


def fuzz_mqtt_v2(data: bytes) -> None:
    for start in (b"", LOG_IN):
        whole = conversation(start + data, len(start + data) or 1)
        for size in (1, 7):
            assert conversation(start + data, size) == whole, "the answer depends on the chunks"


LOG_IN = mqtt.Connect("qu_C1_1", 60, True, None, b"Bearer token").encode()


def _requests() -> list[bytes]:
    form = b"pk=p11abc&dk=D1&page=2&isInit=true&deviceName=%E2%82%AC&pkList=a,b&pk=p11abc"
    wrong = [b"pk=a&pk=b", b"pk=%ff", b"pk=%00", b"&" * 70, b"%", b"=&=", b"page=99999999999999999999&isInit=maybe"]
    good = {"pk": "p11abc", "dk": 1, "isInit": True, "page": -1.5, "pkList": ["a", 2], "x": {"y": None}}
    texts = [
        json.dumps(good).encode(),
        b'{"pk":"a","pk":"a"}',
        b'{"pk":"\\ud800"}',
        b'{"pk":NaN,"dk":1e999}',
        b'{"page":99999999999999999999}',
        b"[" * 20,
        b'[{"pk":"a","dk":"b"},{}]',
        b"\xef\xbb\xbf{}",
        b"{",
        b"null",
    ]
    parts = (
        b'--b\r\nContent-Disposition: form-data; name="pk"\r\n\r\np11abc\r\n'
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n\xff\r\n--b--\r\n'
    )
    found = [bytes([0, where]) + each for where in (0, 1) for each in (form, *wrong)]
    found += [bytes([kind, 1]) + each for kind in (0, 1) for each in texts]
    return [*found, bytes([3, 1]) + parts, bytes([3, 1]) + parts[:-6], bytes([0, 2]) + form + b"\0" + texts[0]]


def _commands() -> list[bytes]:
    device = {"productKey": PRODUCT, "deviceKey": DEVICE}
    kv = json.dumps({"1": True, "2": 1.5, "3": [1, 2], "4": {"5": "x"}})
    sent: list[Any] = [
        {"cmd": "subscribe", "data": [{**device, "messageType": ["ONLINE", "MATTR-REPORT"]}]},
        {"cmd": "unsubscribe", "data": {**device, "messageType": "ONLINE"}},
        {"cmd": "send", "data": {**device, "type": "WRITE-ATTR", "msgId": 7, "kv": kv}},
        {"cmd": "send", "data": {**device, "type": "READ-ATTR", "kv": "[1,2]"}},
        {"cmd": "send", "data": {**device, "type": "RAW", "raw": "AQID"}},
        {"cmd": "send", "data": {**device, "type": "EXE-SERV"}},
        {"cmd": "login", "data": {"token": ["t"]}},
        {"cmd": ["subscribe"], "data": {}},
        {"cmd": "send", "data": {**device, "type": ["RAW"], "raw": 1}},
        {"cmd": "subscribe", "data": [{**device, "messageType": {"ONLINE": 1}}, None, 7]},
        {"cmd": "send", "data": {**device, "type": "WRITE-ATTR", "kv": '{"1":1e999}'}},
        {"cmd": "send", "data": {**device, "type": "WRITE-ATTR", "kv": '{"1":"\\ud800"}'}},
        {"cmd": "send", "data": {**device, "type": "WRITE-ATTR", "kv": '{"1":' + "9" * 40 + "}"}},
        {"cmd": "ping"},
        [],
        "pong",
    ]
    texts = [json.dumps(each).encode() for each in sent]
    return [*texts, b"\n".join(texts[:5]), b"[" * 5000, b"\xff", b'{"cmd":NaN}', b'{"cmd":"\\ud800"}']


def _packets() -> list[bytes]:
    read = json.dumps({"productKey": PRODUCT, "deviceKey": DEVICE, "type": "READ-ATTR", "kv": "[1]", "msgId": "m"})
    write = read.replace("READ", "WRITE").replace("[1]", '{\\"1\\":true}')
    fields = ttlv.encode([(1, True), (2, 1.5), (3, [(0, 1), (0, 2)]), (4, [(5, b"x")])])
    packets: list[Any] = [
        mqtt.Subscribe(1, [(f"q/2/d/{CLIENT}/bus_", 1), (f"q/2/d/{CLIENT}/ack", 0), ("#", 0), ("q/2/d/qd/x", 1)]),
        mqtt.Unsubscribe(2, [f"q/2/d/{CLIENT}/bus_", "a/+"]),
        mqtt.Publish(f"q/1/d/{CLIENT}/sys_", read.encode(), 1, packet_id=3),
        mqtt.Publish(f"q/1/d/{CLIENT}/sys", write.encode(), 0),
        mqtt.Publish(f"q/1/d/{CLIENT}/bus", frame.encode(1, 0x0011, b""), 0),
        mqtt.Publish(f"q/1/d/{CLIENT}/bus", frame.encode(1, 0x0011, b"\0\1\0\2"), 0),
        mqtt.Publish(f"q/1/d/{CLIENT}/bus", frame.encode(1, 0x0013, fields), 0),
        mqtt.Publish(f"q/1/d/{CLIENT}/bus", frame.encode(1, 0x0013, ttlv.encode([(6, True)])), 0),
        mqtt.Publish(f"q/1/d/{CLIENT}/bus", b"\xaa\xaa\0", 0),
        mqtt.Publish(f"q/1/d/{CLIENT}/ota", b"{}", 0),
        mqtt.Pingreq(),
        mqtt.Puback(1),
        mqtt.Disconnect(),
    ]
    each = [packet.encode() for packet in packets]
    return [*each, b"".join(each), LOG_IN, LOG_IN + LOG_IN, mqtt.Connect("x", 1, True, b"u", b"p").encode()]


TARGETS: dict[str, Callable[[bytes], None]] = {
    "parameters": fuzz_parameters,
    "ws_v1": fuzz_ws_v1,
    "mqtt_v2": fuzz_mqtt_v2,
}
SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "parameters": _requests,
    "ws_v1": _commands,
    "mqtt_v2": _packets,
}
