"""IDENTITY: who guesses, replays or bends log-ins, or asks around which devices there are, learns and gets nothing."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from tests.attack.conftest import CODE, Scene, Victim
from tests.attack.stranger import ELSEWHERE, log_in, tally
from tests.e2e.conftest import BINDING, User, World
from tests.e2e.wire_by_hand import enrolment_password, login_password, random_text, sign
from tests.tables import Row

# ---- taking a client id over

WRONG: dict[str, Callable[[World, Victim], bytes | None]] = {
    "a wrong secret": lambda w, v: login_password(w.ps, "x" * 32),
    "the product secret as device secret": lambda w, v: login_password(w.ps, w.ps),
    "the device key as device secret": lambda w, v: login_password(w.ps, v.dk),
    "an empty device secret": lambda w, v: login_password(w.ps, ""),
    "the right secret, a wrong product secret": lambda w, v: login_password("x" * 16, v.secret),
    "the secret in swapped case": lambda w, v: login_password(w.ps, v.secret.swapcase()),
    "another device's secret": lambda w, v: login_password(w.ps, v.scene.active(w)[1]),
    "no password": lambda w, v: None,
    "an empty signature": lambda w, v: f"1;0000;{random_text()};".encode(),
    "a signature without its RAND": lambda w, v: f"1;0000;;{sign(v.secret, w.ps, '')}".encode(),
    "the signature of a captured log-in with a new RAND": lambda w, v: (
        f"1;0000;{random_text()};{sign(v.secret, w.ps, random_text())}".encode()
    ),
    "the signature in swapped case": lambda w, v: v.password()[:24] + v.password()[24:].swapcase(),
    "an enrolment's signature": lambda w, v: f"1;0000;{(nonce := random_text())};{sign(v.dk, w.ps, nonce)}".encode(),
}


@pytest.mark.parametrize("what", WRONG)
def test_take_a_client_id_over(world: World, victim: Victim, row: Row, what: str) -> None:
    with victim.raw(ELSEWHERE) as thief:
        got = log_in(thief, WRONG[what](world, victim))

    row(f"log in as a live device with {what}", "CONNACK 5", got)
    row(f"... and the real device ({what})", "undisturbed", victim.undisturbed())


def test_log_in_with_the_right_password_in_another_devices_name(
    scene: Scene, world: World, victim: Victim, row: Row
) -> None:
    own, secret = scene.active(world)
    with victim.raw(ELSEWHERE) as thief:
        row(
            "log in as a live device with an own valid log-in",
            "CONNACK 5",
            log_in(thief, login_password(world.ps, secret)),
        )
    with scene.raw(world, own) as thief:
        thief.client_id = "QD" + thief.client_id[2:]
        row("log in under the client id in other case", "CONNACK 5", log_in(thief, login_password(world.ps, secret)))
    row("... and the real device beside it", "undisturbed", victim.undisturbed())


# ---- signatures, bent


def test_cut_a_log_in_at_every_byte(victim: Victim, row: Row) -> None:
    password, got = victim.password(), []
    for end in range(len(password)):
        with victim.raw(ELSEWHERE) as thief:
            thief.send(b"")
            got.append(log_in(thief, b"1;" + password[2:end] if end > 2 else b"1;"))

    row(f"a log-in's password cut at each of its {len(password)} bytes", "CONNACK 5", tally(got))
    row("... and the real device, cut", "undisturbed", victim.undisturbed())


def test_cut_an_enrolment_at_every_byte(scene: Scene, world: World, row: Row) -> None:
    dk, got = world.new_device_key(), []
    password = enrolment_password(world.pk, world.ps, dk)
    for end in range(len(password)):
        with scene.raw(world, dk, ELSEWHERE) as thief:
            got.append(log_in(thief, password[:end]).split()[0])

    row(f"an enrolment's password cut at each of its {len(password)} bytes", "refused", tally(got))
    row("... and made a device of it", 404, scene.operator("GET", f"/devices/{world.pk}/{dk}")[0])


def test_change_every_byte_of_a_log_in(victim: Victim, row: Row) -> None:
    password, got = victim.password(), []
    for place in (*range(2, 5), *range(6, len(password))):  # 5 is the session flag, below
        bent = bytearray(password)
        bent[place] ^= 0x20 if chr(bent[place]).isalpha() else 1
        with victim.raw(ELSEWHERE) as thief:
            got.append(log_in(thief, bytes(bent)))

    row("a log-in with one byte of its password changed, each in turn", "CONNACK 5", tally(got))
    row("... and the real device, bent", "undisturbed", victim.undisturbed())


def test_change_every_byte_of_an_enrolment(scene: Scene, world: World, row: Row) -> None:
    dk, got = world.new_device_key(), []
    password = enrolment_password(world.pk, world.ps, dk)
    for place in (*range(5), *range(6, len(password))):  # 5 is the session flag, below
        bent = bytearray(password)
        bent[place] ^= 0x20 if chr(bent[place]).isalpha() else 1
        with scene.raw(world, dk, ELSEWHERE) as thief:
            got.append(log_in(thief, bytes(bent)).split()[0].replace("CONNACK", "refused"))

    row("an enrolment with one byte of its password changed, each in turn", "refused", tally(got))
    row("... and made a device of that", 404, scene.operator("GET", f"/devices/{world.pk}/{dk}")[0])


def test_change_the_session_flag_on_the_way(scene: Scene, row: Row) -> None:
    # What the legacy signature does not cover: only TLS keeps whoever carries the bytes from asking for more or less.
    world = scene.new_world()
    dk = world.new_device_key()
    with scene.raw(world, dk) as device:
        asked = enrolment_password(world.pk, world.ps, dk, flag="0001")
        row(
            "turn an enrolment's wish for encryption off on plain TCP; the flag is not signed",
            "secret",
            log_in(device, asked.replace(b"0;0001;", b"0;0000;")),
        )
    secret = scene.enrol(world, dk)
    with scene.raw(world, dk) as device:
        asked = login_password(world.ps, secret, flag="0001")
        row(
            "turn a log-in's wish for encryption off on plain TCP; the flag is not signed",
            "in",
            log_in(device, asked.replace(b"1;0001;", b"1;0000;")),
        )


# ---- replay


def test_replay_a_captured_log_in(world: World, victim: Victim, scene: Scene, row: Row) -> None:
    captured = victim.password()
    with victim.raw() as device:
        assert log_in(device, captured) == "in"

    with victim.raw(ELSEWHERE) as thief:
        got = log_in(thief, captured)

    # What the legacy signature cannot prevent on plain TCP: it holds no challenge of ours.
    row("replay a log-in captured on plain TCP; product not strict", "in", got)

    def is_told() -> bool:
        _, page = scene.operator("GET", f"/audit?product_key={world.pk}&device_key={victim.dk}")
        return "device.replayed" in {entry["action"] for entry in page["items"]}

    row("... and the audit log tells", True, scene.reaches(is_told))


def test_replay_a_captured_log_in_where_the_product_is_strict(scene: Scene, row: Row) -> None:
    world = scene.new_world(replay_strict=True)
    victim = scene.victim(world)
    captured = victim.password()
    with victim.raw() as device:
        assert log_in(device, captured) == "in"
    victim.live = victim.raw()
    assert victim.live.connect(victim.password()) == 0

    with victim.raw(ELSEWHERE) as thief:
        got = log_in(thief, captured)

    row("replay a captured log-in; product replay strict", "refused 10425", got)
    row("... and the real device, replayed", "undisturbed", victim.undisturbed())
    victim.live.socket.close()


def test_replay_a_captured_enrolment(scene: Scene, row: Row) -> None:
    world = scene.new_world()
    dk = world.new_device_key()
    captured = enrolment_password(world.pk, world.ps, dk)
    with scene.raw(world, dk) as device:
        assert log_in(device, captured) == "secret"
        device.publish(0x0034, b"\x00\x0a\x00\x05", 7)
        device.wait_puback(7)

        with scene.raw(world, dk, ELSEWHERE) as thief:
            got = log_in(thief, captured)

        row("replay a captured enrolment of a device in use", "refused 10422", got)
        device.publish(0x0034, b"\x00\x0a\x00\x06", 8)
        device.wait_puback(8)


# ---- which devices are there?


@pytest.fixture
def strangers(scene: Scene, world: World, victim: Victim) -> tuple[User, dict[str, str]]:
    """Someone with no right to know, and a device of each kind to ask about."""
    owner = scene.new_user(world)
    victim.live.report_bind_code(CODE, 60, 60_001)
    bound = owner.bind(victim.dk, CODE)
    assert bound["code"] == 200, bound
    scene.secret("auth key", bound["data"]["authKey"])
    idle, _ = scene.active(world)
    return scene.new_user(world), {
        "unknown": world.new_device_key(),
        "another user's": victim.dk,
        "without a code": idle,
    }


QUERIES = [
    ("POST", "v2/deviceBindingByWifi"),
    ("POST", "bindDeviceDk"),
    ("GET", "deviceInfo"),
    ("PUT", "setDeviceInfo"),
    ("DELETE", "unbundlingDeviceDk"),
    ("POST", "getAuthKey"),
    ("GET", "getDeviceBusinessAttributes"),
    ("GET", "getDeviceHistory"),
    ("POST", "approveReEnrolment"),
    ("GET", "getDeviceInfoByBinding"),
]


def whole_answer(scene: Scene, user: User, method: str, path: str, dk: str) -> tuple[int, list[tuple[str, str]], str]:
    """Status, headers without the date, body with the asked device key taken out."""
    pk = user.world.pk
    body = {
        "pk": pk, "dk": dk, "productKey": pk, "deviceKey": dk, "bindingCode": "F" * 16, "deviceName": "mine",
    }  # fmt: skip
    url = scene.center.url + BINDING + path
    if method in {"GET", "DELETE"}:
        url, data = f"{url}?pk={pk}&dk={dk}", None
    else:
        data = json.dumps(body).encode()
    headers = {"Authorization": user.token, "Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        text = answer.read().decode()
        shown = sorted((name, value) for name, value in answer.headers.items() if name.lower() != "date")
        if json.loads(text)["code"] != 200:
            scene.center.refusals.append(text)
        return answer.status, shown, text.replace(dk, "DK")


@pytest.mark.parametrize(("method", "path"), QUERIES)
def test_enumerate_devices_by_the_app_api(
    scene: Scene, strangers: tuple[User, dict[str, str]], row: Row, method: str, path: str
) -> None:
    user, keys = strangers

    answers = {kind: whole_answer(scene, user, method, path, dk) for kind, dk in keys.items()}

    assert not any('"code":8429' in answer[2] for answer in answers.values()), "only the guess limit was seen"
    kinds: dict[str, list[str]] = {}
    for kind, answer in answers.items():
        kinds.setdefault(str(answer), []).append(kind)
    row(f"tell devices apart by {path}", "one answer for all", "one answer for all" if len(kinds) == 1 else str(kinds))


@pytest.mark.parametrize("how", ["a log-in with a wrong secret", "an enrolment without the product secret"])
def test_enumerate_devices_by_mqtt(scene: Scene, world: World, victim: Victim, row: Row, how: str) -> None:
    disabled, _ = scene.active(world)
    assert scene.operator("POST", f"/devices/{world.pk}/{disabled}/disable")[0] == 200
    issued = world.new_device_key()
    scene.enrol(world, issued)
    got = {}
    for kind, dk in {
        "unknown": world.new_device_key(), "live": victim.dk, "disabled": disabled, "issued": issued,
    }.items():  # fmt: skip
        password = login_password(world.ps, "x" * 32)
        if how.startswith("an enrolment"):
            password = enrolment_password(world.pk, "x" * 16, dk)
        with scene.raw(world, dk, ELSEWHERE) as thief:
            got[kind] = log_in(thief, password)

    row(f"tell devices apart by {how}", 1, len(set(got.values())))
