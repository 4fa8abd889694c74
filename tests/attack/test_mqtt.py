"""MQTT, sessions and topics: a device reaches nothing but its own topics, and leaves nothing behind for anybody."""

from __future__ import annotations

import pytest

from tests.attack.conftest import CODE, Scene, Victim
from tests.attack.stranger import ELSEWHERE, PINGREQ, PINGRESP, end_of, fate, tally
from tests.e2e.conftest import World
from tests.e2e.wire_by_hand import RawDevice, connect, frame, login_password, packet, text
from tests.tables import Row

RESET_ORDER = frame(1, 0x00B4, b"\0\x49")  # {9: true}: forget your secret


@pytest.fixture(scope="module")
def own(scene: Scene, world: World) -> tuple[str, str]:
    """The attacker's device, which is a device like any other: device key and secret."""
    return scene.active(world)


def logged_in(
    scene: Scene, world: World, own: tuple[str, str], connect_flags: int = 0x42, will: bytes = b""
) -> RawDevice:
    device = scene.raw(world, own[0], ELSEWHERE)
    body = text(b"MQTT") + bytes([4, connect_flags, 0, 60]) + text(device.client_id.encode()) + will
    device.send(packet(0x10, body + text(login_password(world.ps, own[1]))))
    assert device.receive() == (0x20, b"\0\0"), "no session is ever present"
    return device


def came(device: RawDevice) -> list[str]:
    """The messages that came, up to the answer to a ping."""
    device.send(PINGREQ)
    messages = []
    while (got := device.receive()) != PINGRESP:
        assert got is not None, "closed"
        if got[0] >> 4 == 3:
            messages.append(got[1].hex())
    return messages


def suback(device: RawDevice, topic_filter: bytes) -> str:
    """ "refused" for 0x80, "granted", or "closed"."""
    device.send(packet(0x82, b"\0\5" + text(topic_filter) + b"\1"))
    while (got := device.receive()) is not None:
        if got[0] == 0x90:
            return "refused" if got[1] == b"\0\5\x80" else "granted"
    return "closed"


# ---- reaching for others' topics


def foreign_filters(own: str, other: str) -> list[str]:
    return [
        "#", "+", "/#", "+/+/+/+/+", "q/#", "q/+/d/+/+", "q/1/d/+/+", "q/1/d/#", "q/1/d/+/sys", f"q/1/d/{other}/+",
        f"q/1/d/{other}/sys", f"q/1/d/{other}/#", f"q/2/d/{other}/#", "q/2/d/+/+", f"q/2/d/{own}/+", f"q/1/d/{own}/#",
        f"q/1/d/{own}", f"q/1/d/{own}/+/+", f"q/1/d/{own}/../{other}/sys", f"q/1/d/../d/{other}/sys",
        f"q//1/d/{other}/sys", f"/q/1/d/{other}/sys", f"$share/g/q/1/d/{other}/+", f"$share/g/q/1/d/{own}/+",
        "$share/g/#", "$share/#", "$SYS/#", "$SYS/broker/clients/total", "$queue/#", f"$delayed/1/q/1/d/{own}/sys",
        f"q/1/d/{own.upper()}/+", f"q/1/d/{own} /+", f"q/1/d/{own}\u200b/+", f"q/1/d/{own}/sys/", f"q/1/d/{own}/SYS",
        f"q/1/d/{own[:-1]}/+", f"q/1/d/{own}0/+", "%23", "q\\1\\d\\" + other, "/" * 1000, "a/" * 10_000,
    ]  # fmt: skip


def foreign_topics(own: str, other: str) -> list[str]:
    return [
        f"q/2/d/{other}/sys", f"q/1/d/{other}/sys", f"q/1/d/{own}/sys", f"q/2/d/{own}/../{other}/sys", f"q/2/d/{own}",
        f"q/2/d/{own}/", f"q/2/d/{own}/foo", f"q/2/d/{own}/sys/", f"q/2/d/{own}/sys/a/b", f"q/2/d/{own}/SYS",
        "$SYS/broker", f"$share/g/q/2/d/{own}/sys", f"/q/2/d/{own}/sys", f"q//2/d/{own}/sys", f"q/2/d/{own}0/sys",
        f"q/2/d/{own[:-1]}/sys", f"q/2/d/{own.upper()}/sys", f"q/2/d/{own} /sys", f"q/2/d/{own}\u200b/sys",
        "q/2/d//sys", "..", "/", " ", f"q/2/d/{own}/sys/../../{other}/sys", f"q/2/d/{own}/" + "s" * 60_000,
    ]  # fmt: skip


def test_subscribe_to_what_is_not_ones_own(
    scene: Scene, world: World, own: tuple[str, str], victim: Victim, row: Row
) -> None:
    with logged_in(scene, world, own) as device:
        for topic_filter in foreign_filters(device.client_id, victim.live.client_id):
            shown = topic_filter.replace(victim.live.client_id, "OTHER").replace(device.client_id, "OWN")
            shown = shown if len(shown) < 60 else f"{shown[:20]}... ({len(shown)})"
            row(f"subscribe to {shown!a}", "refused", suback(device, topic_filter.encode()))
        victim.undisturbed()
        row("... and hear what another device does", [], came(device))
        victim.live.send(packet(0xC0, b""))


def test_publish_to_what_is_not_ones_own(
    scene: Scene, world: World, own: tuple[str, str], victim: Victim, row: Row
) -> None:
    for qos in (0, 1, 2):
        got = []
        identifier = b"" if not qos else b"\0\x09"
        for topic in foreign_topics(f"qd{world.pk}{own[0]}", victim.live.client_id):
            with logged_in(scene, world, own) as device:
                got.append(fate(device, packet(0x30 | qos << 1, text(topic.encode()) + identifier + RESET_ORDER)))
        row(f"publish to {len(got)} topics of others, QoS {qos}", "closed", tally(got))
        row(f"... and the other device (QoS {qos})", "undisturbed", victim.undisturbed())


@pytest.mark.parametrize("topic", ["wildcards", "a NUL"])
def test_publish_to_a_topic_that_cannot_be(
    scene: Scene, world: World, own: tuple[str, str], victim: Victim, row: Row, topic: str
) -> None:
    client_id = victim.live.client_id
    topics = (
        ["#", "+", "q/2/d/+/sys", f"q/2/d/{client_id}/#"]
        if topic == "wildcards"
        else ["q/2\0", "\0", f"q/1/d/{client_id}/sys\0"]
    )
    got = []
    for wrong in topics:
        with logged_in(scene, world, own) as device:
            got.append(fate(device, packet(0x32, text(wrong.encode()) + b"\0\x09" + RESET_ORDER)))
    row(f"publish to a topic with {topic}", "closed", tally(got))
    row(f"... and the device it would reach ({topic})", "undisturbed", victim.undisturbed())


def test_report_a_bind_code_for_another_device(
    scene: Scene, world: World, own: tuple[str, str], victim: Victim, row: Row
) -> None:
    planted = "F" * 16
    payload = b"\x00\x5b\x00\x10" + planted.encode()
    with logged_in(scene, world, own) as device:
        topic = f"q/2/d/{victim.live.client_id}/sys".encode()
        row("report a bind code on another device's topic", "closed",
            fate(device, packet(0x32, text(topic) + b"\0\x09" + frame(1, 0x00B5, payload))))  # fmt: skip
    row("... and the other device, spoken for", "undisturbed", victim.undisturbed())
    user = scene.new_user(world)
    row("... and bind it with that code", 5462, user.bind(victim.dk, planted)["code"])
    row("... and with its own", 200, user.bind(victim.dk, CODE)["code"])


# ---- leaving something behind


def test_leave_a_will_for_another_device(
    scene: Scene, world: World, own: tuple[str, str], victim: Victim, row: Row
) -> None:
    got = []
    for topic in (f"q/1/d/{victim.live.client_id}/sys", f"q/2/d/{victim.live.client_id}/sys", "q/1/d/x/sys"):
        for qos, retain in ((0, 0), (1, 0), (2, 0x20), (1, 0x20)):
            ended = 'quecbind_connections_ended_total{reason="gone"}'
            before = scene.metric(ended)
            with logged_in(
                scene, world, own, 0x46 | qos << 3 | retain, text(topic.encode()) + text(RESET_ORDER)
            ) as device:
                device.send(b"\x32")  # and gone in the middle of a packet
            assert scene.reaches(lambda before=before, ended=ended: scene.metric(ended) > before)
            got.append(victim.undisturbed())

    row("leave a will on another device's topics, every QoS, retained and not", "undisturbed", tally(got))
    with victim.raw() as device:
        assert device.connect(victim.password()) == 0
        assert device.subscribe() == 1
        row("... and it finds one when it comes back", [], came(device))


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_publish_retained(scene: Scene, world: World, own: tuple[str, str], victim: Victim, row: Row, qos: int) -> None:
    with logged_in(scene, world, own) as device:
        topic = f"q/2/d/{device.client_id}/sys".encode()
        identifier = b"" if not qos else b"\0\x09"
        fate(device, packet(0x31 | qos << 1, text(topic) + identifier + RESET_ORDER))
    with logged_in(scene, world, own) as device:
        device.subscribe()
        row(f"publish retained, QoS {qos}, and get it again oneself", [], came(device))
    with victim.raw() as device:
        assert device.connect(victim.password()) == 0
        device.subscribe()
        row(f"publish retained, QoS {qos}, for others to find", [], came(device))


def test_keep_a_session_past_its_connection(
    scene: Scene, world: World, own: tuple[str, str], victim: Victim, row: Row
) -> None:
    with logged_in(scene, world, own, 0x40) as device:
        device.subscribe()
        topic = f"q/2/d/{device.client_id}/sys".encode()
        device.send(packet(0x34, text(topic) + b"\0\x0b" + RESET_ORDER))
        assert came(device) == []
    victim.undisturbed()
    with scene.raw(world, own[0], ELSEWHERE) as device:
        device.send(connect(device.client_id, login_password(world.ps, own[1])).replace(b"\x04\x42", b"\x04\x40", 1))
        row("ask for a persistent session: session present", (0x20, b"\0\0"), device.receive())
        row("... and what was kept for it", [], came(device))


def test_take_an_own_client_id_over_from_oneself(scene: Scene, world: World, own: tuple[str, str], row: Row) -> None:
    with logged_in(scene, world, own) as first, logged_in(scene, world, own) as second:
        row("log in twice with one secret: the first session", None, first.receive())
        row("... and the second", [], came(second))


def test_speak_http_and_tls_to_the_mqtt_port(scene: Scene, world: World, victim: Victim, row: Row) -> None:
    for what, data in {
        "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "a TLS hello": bytes.fromhex("1603010200010001fc0303") + bytes(500),
        "random text": b"hello, who is there?\n",
    }.items():
        with scene.raw(world, victim.dk, ELSEWHERE) as device:
            row(f"speak {what} to the MQTT port", b"", end_of(device, data))
    row("... and the device beside it", "undisturbed", victim.undisturbed())
