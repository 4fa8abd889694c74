"""MQTT, load: who opens, waits, storms or floods costs little and takes nothing from the others."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

from tests.attack.conftest import CODE, LOG_IN_TIME_S, Scene, Victim
from tests.attack.stranger import ELSEWHERE, log_in
from tests.e2e.conftest import World
from tests.e2e.wire_by_hand import (
    RawDevice,
    connect,
    enrolment_password,
    frame,
    login_password,
    packet,
    text,
    ttlv_number,
)
from tests.tables import Row

HALF_OPEN = 1_000  # the default of --max-pending-per-address
STORM = 2_000


def test_connect_byte_by_byte(scene: Scene, world: World, victim: Victim, row: Row) -> None:
    data, got = connect(victim.live.client_id, victim.password()), "let in"
    pause_s = 2 * LOG_IN_TIME_S / len(data)
    with victim.raw(ELSEWHERE) as slow:
        for place in range(len(data)):
            # Waits for the server to close, for as long as a byte of a slow log-in takes.
            if select.select([slow.socket], [], [], pause_s)[0]:
                got = "closed" if slow.socket.recv(100) == b"" else "answered"
                break
            slow.send(data[place : place + 1])

    row(f"send a right CONNECT in twice the {LOG_IN_TIME_S} s a log-in may take", "closed", got)
    row("... and the real device, meanwhile", "undisturbed", victim.undisturbed())


def test_hold_a_thousand_half_open_connections(scene: Scene, world: World, victim: Victim, row: Row) -> None:
    memory = scene.memory_kib()
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(victim.raw(ELSEWHERE)) for _ in range(HALF_OPEN)]
        for half in crowd:
            half.send(b"\x10\x50\0\4MQ")
        with victim.raw(ELSEWHERE) as one_more:
            row(f"hold {HALF_OPEN} half-open connections, and open one more", None, one_more.receive())
        row("... and a device with a session", "undisturbed", victim.undisturbed())
        with scene.raw(world, world.new_device_key()) as newcomer:
            password = enrolment_password(world.pk, world.ps, newcomer.dk)
            row("... and a new device from another address", "secret", log_in(newcomer, password))
        row("... and memory grows by less than 32 MiB", True, scene.memory_kib() - memory < 32 * 1024)
        for half in crowd:
            half.socket.settimeout(LOG_IN_TIME_S + 10)
        row(
            "... and how many are closed when the log-in time is over",
            HALF_OPEN,
            sum(half.receive() is None for half in crowd),
        )


def test_storm_with_reconnects_while_a_user_binds(scene: Scene, world: World, victim: Victim, row: Row) -> None:
    fleet = [scene.active(world) for _ in range(4)]
    got: list[str] = []

    def storm(dk: str, secret: str) -> None:
        for _ in range(STORM // len(fleet)):
            with scene.raw(world, dk, ELSEWHERE) as device:
                got.append("in" if device.connect(login_password(world.ps, secret)) == 0 else "refused")

    user, bound = scene.new_user(world), []
    threads = [threading.Thread(target=storm, args=one) for one in fleet]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        victim.undisturbed()
        answer = user.bind(victim.dk, CODE)["code"]
        bound.append(answer if answer != 200 else (200, user.unbind(victim.dk)["code"]))
    for thread in threads:
        thread.join(60)

    row(f"log in {STORM} times as fast as it goes: all answered", got == ["in"] * STORM, True)
    row("... and what a user who binds and unbinds gets meanwhile", {(200, 200)}, set(bound))
    row("... and another device in the storm", "undisturbed", victim.undisturbed())


def flood(device: RawDevice, stop: threading.Event, qos: int, sent: list[int]) -> None:
    """Reports without end, each another one, never reading what comes back; ends when the server hangs up."""
    topic, number = text(f"q/2/d/{device.client_id}/sys".encode()), 0
    device.socket.settimeout(0.2)
    while not stop.is_set():
        many = bytearray()
        for _ in range(100):
            number += 1
            identifier = (number % 65_535 + 1).to_bytes(2, "big") if qos else b""
            report = frame(number % 60_000 + 1, 0x0034, ttlv_number(1, number))
            many += packet(0x30 | qos << 1, topic + identifier + report)
        try:
            device.socket.sendall(many)
        except TimeoutError:
            continue  # it is no longer read from: the cut packet ends its connection later
        except OSError:
            break
        sent.append(100)


def test_flood_with_reports_while_another_device_is_served(
    scene: Scene, world: World, victim: Victim, row: Row
) -> None:
    user = scene.new_user(world)
    memory = scene.memory_kib()
    for qos in (0, 1):
        dk, secret = scene.active(world)
        stop, sent = threading.Event(), []
        with scene.raw(world, dk, ELSEWHERE) as device:
            assert device.connect(login_password(world.ps, secret)) == 0
            flooding = threading.Thread(target=flood, args=(device, stop, qos, sent))
            flooding.start()
            try:
                served = [victim.undisturbed() for _ in range(30)]
                answer = user.bind(victim.dk, CODE)["code"], user.unbind(victim.dk)["code"]
            finally:
                stop.set()
                flooding.join(30)

        row(f"flood with QoS {qos} reports: another device, 30 times", served == ["undisturbed"] * 30, True)
        row(f"... and a user who binds and unbinds it (QoS {qos})", (200, 200), answer)
        assert sent, "it was no flood"
    row("... and memory grows by less than 64 MiB", True, scene.memory_kib() - memory < 64 * 1024)


def test_never_read_what_the_server_answers(scene: Scene, world: World, victim: Victim, row: Row) -> None:
    dk, secret = scene.active(world)
    with scene.raw(world, dk, ELSEWHERE) as device:
        assert device.connect(login_password(world.ps, secret)) == 0
        device.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        device.socket.settimeout(10)
        pings, got = b"\xc0\0" * 32_768, "still open"
        try:
            for _ in range(2_000):  # what the kernel takes in between is more than it looks
                device.socket.sendall(pings)
        except (ConnectionResetError, BrokenPipeError):
            got = "dropped"

    row("ask for answers without end and read none", "dropped", got)
    row("... and another device, answered", "undisturbed", victim.undisturbed())
