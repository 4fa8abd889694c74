"""IDENTITY, enrolment: whoever holds a leaked product secret tries to become a device, or to spend the product."""

from __future__ import annotations

import threading

import pytest

from tests.attack.conftest import CODE, Scene, Victim
from tests.attack.stranger import ELSEWHERE, log_in, reset_proof
from tests.e2e.conftest import BINDING, World
from tests.e2e.wire_by_hand import RawDevice, enrolment_password, login_password
from tests.tables import Row

FORGED = b"rst;AAAAAAAAAAAAAAAA;" + b"A" * 43 + b"="
POLICIES = ("approve", "open", "locked")
GETS_IN = {
    "unknown": ("secret", "secret", "secret"),
    "issued": ("secret", "secret", "secret"),
    "active": ("refused 10422", "secret", "refused 10422"),
    "active, its reset proof": ("secret", "secret", "secret"),
    "active, a forged proof": ("refused 10422", "secret", "refused 10422"),
    "active, another device's proof": ("refused 10422", "secret", "refused 10422"),
    "active, approved": ("secret", "secret", "refused 10422"),
    "active, its reset ordered": ("refused 10422", "secret", "refused 10422"),
    "disabled": ("refused 10431",) * 3,
    "disabled, its reset proof": ("refused 10431",) * 3,
}


@pytest.fixture(scope="module")
def worlds(scene: Scene) -> dict[str, World]:
    return {policy: scene.new_world(re_enrol=policy) for policy in POLICIES}


def enrol(scene: Scene, world: World, dk: str, user_name: bytes | None = None) -> str:
    with scene.raw(world, dk, ELSEWHERE) as device:
        return log_in(device, enrolment_password(world.pk, world.ps, dk), user_name)


def order_reset(scene: Scene, world: World, dk: str, secret: str) -> None:
    """Its last owner leaves it so, while it is away."""
    owner = scene.new_user(world)
    with scene.raw(world, dk) as device:
        assert device.connect(login_password(world.ps, secret)) == 0
        device.report_bind_code(CODE)
    assert owner.bind(dk, CODE)["code"] == 200
    path = BINDING + "unbundlingDeviceDk"
    assert scene.center.call("DELETE", path, owner.token, pk=world.pk, dk=dk, isInit=True)["code"] == 200


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("state", GETS_IN)
def test_enrol_a_device_in_every_state(
    scene: Scene, worlds: dict[str, World], row: Row, state: str, policy: str
) -> None:
    world = worlds[policy]
    dk, proof, secret = world.new_device_key(), None, ""
    if state == "issued":
        scene.enrol(world, dk)
    elif state != "unknown":
        dk, secret = scene.active(world)
        path = f"/devices/{world.pk}/{dk}"
        if "approved" in state:
            assert scene.operator("POST", path + "/approve-re-enrolment")[0] == (409 if policy == "locked" else 200)
        if "ordered" in state:
            order_reset(scene, world, dk, secret)
        if "disabled" in state:
            assert scene.operator("POST", path + "/disable")[0] == 200
        if "its reset proof" in state:
            proof = reset_proof(secret, dk)
        elif "forged" in state:
            proof = FORGED
        elif "another" in state:
            proof = reset_proof(scene.active(world)[1], dk)

    got = enrol(scene, world, dk, proof)

    row(f"enrol a device that is {state}; product {policy}", GETS_IN[state][POLICIES.index(policy)], got)
    if secret and got != "secret" and "disabled" not in state:
        with scene.raw(world, dk) as device:
            starts_over = "ordered" in state
            assert log_in(device, login_password(world.ps, secret)) == ("configured" if starts_over else "in")


@pytest.mark.parametrize("flag", ["0000", "0001"])
def test_enrol_a_live_device_with_the_leaked_product_secret(world: World, victim: Victim, row: Row, flag: str) -> None:
    got = []
    for _ in range(20):
        with victim.raw(ELSEWHERE) as phantom:
            got.append(log_in(phantom, enrolment_password(world.pk, world.ps, victim.dk, flag=flag)))

    row(f"enrol a live device 20 times, session flag {flag}", "refused 10422", " ".join(sorted(set(got))))
    row(f"... and the real device (flag {flag})", "undisturbed", victim.undisturbed())


def test_enrol_a_device_that_never_used_its_secret(scene: Scene, world: World, row: Row) -> None:
    # What a leaked product secret does allow: until a device has used its secret, nobody can tell it from the thief.
    dk = world.new_device_key()
    first = scene.enrol(world, dk)
    with scene.raw(world, dk, ELSEWHERE) as thief:
        stolen = scene.secret("device secret", thief.enrol(world.ps))
    with scene.raw(world, dk, ELSEWHERE) as thief:
        got = log_in(thief, login_password(world.ps, stolen))
    row("enrol before a device has used its secret; leaked product secret, no defence in the protocol", "in", got)
    with scene.raw(world, dk) as device:
        row("... the real device learns it", "CONNACK 5", log_in(device, login_password(world.ps, first)))

    assert scene.operator("POST", f"/devices/{world.pk}/{dk}/approve-re-enrolment")[0] == 200
    renewed = scene.enrol(world, dk)
    with scene.raw(world, dk, ELSEWHERE) as thief:
        row("... an operator's approval gives it back", "CONNACK 5", log_in(thief, login_password(world.ps, stolen)))
    with scene.raw(world, dk) as device:
        row("... to the real device, which then is in use", "in", log_in(device, login_password(world.ps, renewed)))


def test_go_on_after_a_refused_enrolment(scene: Scene, world: World, victim: Victim, row: Row) -> None:
    with victim.raw(ELSEWHERE) as phantom:
        refused = phantom.complaint(enrolment_password(world.pk, world.ps, victim.dk))
        phantom.publish(0x00B5, b"\x00\x5b\x00\x10" + b"FFFFFFFFFFFFFFFF", 9)
        phantom.send(b"\xc0\0")
        phantom.socket.settimeout(8)
        said = phantom.receive()

    row("publish a bind code on a refused enrolment's connection", (10422, None), (refused, said))
    code = scene.new_user(world).bind(victim.dk, "FFFFFFFFFFFFFFFF")["code"]
    row("... and bind with it", "refused", "refused" if code in {5460, 5462} else code)
    row("... and the real device, refused on the same client id", "undisturbed", victim.undisturbed())


def test_replay_a_captured_reset_proof(scene: Scene, world: World, row: Row) -> None:
    dk, secret = scene.active(world)
    proof = reset_proof(secret, dk)
    renewed = scene.enrol(world, dk, proof)
    with scene.raw(world, dk) as device:
        assert log_in(device, login_password(world.ps, renewed)) == "in"

    row("replay a captured reset proof after the reset", "refused 10422", enrol(scene, world, dk, proof))
    with scene.raw(world, dk, ELSEWHERE) as device:
        row(
            "log in with the secret from before the reset",
            "CONNACK 5",
            log_in(device, login_password(world.ps, secret)),
        )


@pytest.mark.parametrize("state", ["unknown", "active, one captured proof"])
def test_enrol_the_same_device_many_times_at_once(scene: Scene, world: World, row: Row, state: str) -> None:
    dk, proof = world.new_device_key(), None
    if state != "unknown":
        dk, secret = scene.active(world)
        proof = reset_proof(secret, dk)
    start, secrets = threading.Barrier(8), []

    def race() -> None:
        with scene.raw(world, dk) as device:
            start.wait(10)
            try:
                secrets.append(scene.secret("device secret", device.enrol(world.ps, proof)))
            except AssertionError:
                return  # refused or closed: it has no secret

    racers = [threading.Thread(target=race) for _ in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(30)

    def works(secret: str) -> bool:
        with scene.raw(world, dk) as device:
            return log_in(device, login_password(world.ps, secret)) == "in"

    assert secrets
    row(f"enrol a device 8 times at once ({state}): secrets that work", 1, sum(map(works, set(secrets))))


def test_flood_with_random_device_keys(scene: Scene, row: Row) -> None:
    world = scene.new_world(device_limit=20)
    victim = scene.victim(world)

    got = [enrol(scene, world, world.new_device_key()) for _ in range(200)]

    row("enrol 200 random device keys, device limit 20: let in", 19, got.count("secret"))
    row("... and refused", 181, got.count("refused 10429"))
    row("... and a real device of that product", "undisturbed", victim.undisturbed())
    other = scene.new_world()
    row("... and a new device of another product", "secret", enrol(scene, other, other.new_device_key()))


@pytest.mark.parametrize(
    ("case", "product", "expected"),
    [
        ("static secrets", {"static_secrets": True}, "refused 10421"),
        ("dynamic enrolment off", {"dynamic_enrolment": False}, "refused 10431"),
    ],
)
def test_enrol_where_nobody_may(scene: Scene, row: Row, case: str, product: dict[str, object], expected: str) -> None:
    world = scene.new_world(**product)

    row(f"enrol an unknown device; product has {case}", expected, enrol(scene, world, world.new_device_key()))


def test_enrol_with_the_product_secret_of_another_product(scene: Scene, world: World, victim: Victim, row: Row) -> None:
    other = scene.new_world()
    dk = victim.dk
    with victim.raw(ELSEWHERE) as device:
        row(
            "enrol under a live client id, signed for another product",
            "refused 10434",
            log_in(device, enrolment_password(other.pk, other.ps, dk)),
        )
    with victim.raw(ELSEWHERE) as device:
        row(
            "enrol with another product's secret",
            "refused 10424",
            log_in(device, enrolment_password(world.pk, other.ps, dk)),
        )
    with RawDevice(scene.center.mqtt_port, world.pk, dk, source=ELSEWHERE) as device:
        password = enrolment_password(world.pk, world.ps, world.new_device_key())
        row("enrol a live client id with another device key inside", "refused 10434", log_in(device, password))
    row("... and the real device, enrolled for by others", "undisturbed", victim.undisturbed())
