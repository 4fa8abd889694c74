"""MQTT, packets: every type malformed every way, before and after the log-in, ends its own connection and no other."""

from __future__ import annotations

import pytest

from tests.attack import malformed
from tests.attack.conftest import Scene, Victim
from tests.attack.stranger import ELSEWHERE, end_of, fate, tally
from tests.e2e.conftest import World
from tests.e2e.wire_by_hand import RawDevice, connect, login_password, packet, text
from tests.tables import Row


@pytest.fixture(scope="module")
def own(scene: Scene, world: World) -> tuple[str, str]:
    """The attacker's device, which is a device like any other: device key and secret."""
    return scene.active(world)


def logged_in(scene: Scene, world: World, own: tuple[str, str]) -> RawDevice:
    device = scene.raw(world, own[0], ELSEWHERE)
    assert device.connect(login_password(world.ps, own[1])) == 0
    return device


@pytest.mark.parametrize("way", malformed.WAYS)
def test_send_malformed_packets_after_the_log_in(
    scene: Scene, world: World, own: tuple[str, str], victim: Victim, row: Row, way: str
) -> None:
    cases = list(malformed.WAYS[way](f"qd{world.pk}{own[0]}"))
    got = {}
    for what, data in cases:
        with logged_in(scene, world, own) as device:
            got[what] = fate(device, data)

    went_on = [what for what, result in got.items() if result != "closed"]
    row(
        f"after the log-in, {len(cases)} packets with {way}",
        "closed",
        f"went on after {went_on}" if went_on else "closed",
    )
    row(f"... and another device ({way})", "undisturbed", victim.undisturbed())


@pytest.mark.parametrize("way", [*malformed.WAYS, "nothing wrong but their time"])
def test_send_packets_instead_of_a_connect(
    scene: Scene, world: World, own: tuple[str, str], victim: Victim, row: Row, way: str
) -> None:
    client_id = f"qd{world.pk}{own[0]}"
    if way in malformed.WAYS:
        cases = list(malformed.WAYS[way](client_id))
    else:
        cases = [(name, packet(malformed.head(name), body)) for name, body in malformed.bodies(client_id).items()]
    said = []
    for _, data in cases:
        with scene.raw(world, own[0], ELSEWHERE) as device:
            said.append(end_of(device, data).hex() or "closed")

    row(f"before the log-in, {len(cases)} packets with {way}", "closed", tally(said))
    row(f"... and a logged-in device ({way})", "undisturbed", victim.undisturbed())


def test_send_every_malformed_connect(
    scene: Scene, world: World, own: tuple[str, str], victim: Victim, row: Row
) -> None:
    cases = list(malformed.connects(victim.live.client_id, victim.password()))
    let_in = []
    for what, data in cases:
        with scene.raw(world, own[0], ELSEWHERE) as device:
            said = end_of(device, data, half_close=True)
            if said and (said[:2] != b"\x20\x02" or said[3] == 0):
                let_in.append(what)

    row(f"{len(cases)} malformed CONNECTs with a live device's right password: let in", [], let_in)
    row("... and the real device", "undisturbed", victim.undisturbed())


def test_break_off_at_every_byte_of_a_session(
    scene: Scene, world: World, own: tuple[str, str], victim: Victim, row: Row
) -> None:
    client_id, password = f"qd{world.pk}{own[0]}", login_password(world.ps, own[1])
    bodies = malformed.bodies(client_id)
    stream = connect(client_id, password) + b"".join(
        packet(malformed.head(n), bodies[n]) for n in ("SUBSCRIBE", "PUBLISH")
    )
    got = []
    for end in range(len(stream)):
        with scene.raw(world, own[0], ELSEWHERE) as device:
            try:
                end_of(device, stream[:end], half_close=True)
                got.append("closed")
            except TimeoutError:
                got.append(f"held open after {end}")

    row(f"hang up after each of {len(stream)} bytes of CONNECT, SUBSCRIBE, PUBLISH", "closed", tally(got))
    row("... and another device, hung up on beside it", "undisturbed", victim.undisturbed())


def test_connect_twice(scene: Scene, world: World, own: tuple[str, str], victim: Victim, row: Row) -> None:
    with logged_in(scene, world, own) as device:
        row("a second CONNECT, as another device with its right password", "closed",
            fate(device, connect(victim.live.client_id, victim.password())))  # fmt: skip
    with scene.raw(world, own[0], ELSEWHERE) as device:
        both = connect(device.client_id, login_password(world.ps, own[1])) + connect(victim.live.client_id, b"1;x")
        row("two CONNECTs in one breath", "closed", fate(device, both))
    row("... and the other device", "undisturbed", victim.undisturbed())


@pytest.mark.parametrize("when", ["before", "after"])
def test_announce_256_megabytes(
    scene: Scene, world: World, own: tuple[str, str], victim: Victim, row: Row, when: str
) -> None:
    length, body = b"\xff\xff\xff\x7f", text(b"x") + bytes(60_000)
    memory, got = scene.memory_kib(), []
    for _ in range(100):
        with scene.raw(world, own[0], ELSEWHERE) if when == "before" else logged_in(scene, world, own) as device:
            first = b"\x10" if when == "before" else b"\x32"
            # Nothing but the announcement: the server must not wait for the rest to refuse it.
            got.append("closed" if not end_of(device, first + length) else "answered")
        with scene.raw(world, own[0], ELSEWHERE) if when == "before" else logged_in(scene, world, own) as device:
            end_of(device, first + length + body)

    row(f"announce a packet of 256 MiB {when} the log-in, 200 times", "closed", tally(got))
    grown = scene.memory_kib() - memory
    row("... and memory grows by less than 16 MiB", True, grown < 16 * 1024)
    row(f"... and another device ({when})", "undisturbed", victim.undisturbed())
