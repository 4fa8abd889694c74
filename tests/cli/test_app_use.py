"""`quecbind app scan | control | watch`, on a device written from the document and quecIot's own LAN side."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from quecbind import cli
from quecbind.app.device import Seen
from quecbind.app.errors import KeyRefusedError, NoPathError, PathLostError
from quecbind.cli import app_use, live
from quecbind.cli.outcome import DONE, REFUSED, UNREACHABLE, USAGE
from quecbind.wire import ttlv
from tests.app import device_by_hand
from tests.quecIot.bench import DK, PK
from tests.quecIot.test_lan import Device as QuecIot

KEY = bytes(range(16))
KEYS = (PK, DK)


@pytest.fixture
def quec(monkeypatch: pytest.MonkeyPatch) -> Iterator[QuecIot]:
    """Answers whatever it is asked, as a script would."""
    monkeypatch.delenv("QUECBIND_APP_AUTH_KEY", raising=False)
    device = QuecIot()
    carry_out = device.server._host.carry_out

    def answer(decision: tuple[Any, ...]) -> bytes:
        done = carry_out(decision)
        if decision[:2] == ("event", 10211):
            packet_id, ids = decision[2]
            told = [(number, number * 2) for number in ids or [3, 38]]
            threading.Timer(0.01, device.server.answer_read, (packet_id, ttlv.encode(told))).start()
        return done

    device.server._host.carry_out = answer
    yield device
    device.server.stop()


def where(quec: QuecIot) -> list[str]:
    return ["--lan-address", "127.0.0.1", "--lan-port", str(quec.udp_port)]


def how(quec: QuecIot, key: bytes = KEY) -> list[str]:
    return [*KEYS, *where(quec), "--auth-key", base64.b64encode(key).decode()]


@pytest.mark.enable_socket
def test_scan_shows_who_answers(quec: QuecIot, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["app", "scan", "--seconds", "0.3", *where(quec)]) == DONE
    table = capsys.readouterr().out
    assert cli.main(["app", "scan", "--seconds", "0.3", "--json", *where(quec)]) == DONE
    (row,) = json.loads(capsys.readouterr().out)

    assert f"lan   {PK}" in table
    assert (row["path"], row["device_key"], row["port"]) == ("lan", DK, quec.server.tcp_port)


@pytest.mark.enable_socket
def test_scan_of_an_empty_network_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["app", "scan", "--lan-address", "127.0.0.1", "--lan-port", "9", "--seconds", "0.1"]

    assert cli.main(arguments) == DONE
    assert capsys.readouterr().out == "no devices answered\n"


@pytest.mark.enable_socket
def test_control_writes_sends_and_reads_over_the_lan(quec: QuecIot, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--write", "38=true", "4=über=all", "--raw", "aa55", "--read", "38,3", "--json"]

    assert cli.main(["app", "control", *how(quec), *arguments]) == DONE

    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "product_key": PK,
        "device_key": DK,
        "path": "lan",
        "written": [38, 4],
        "read": {"38": 76, "3": 6},
    }
    assert err == "path: lan\n"
    assert [one[2] for one in quec.asked[:2]] == [{38: True, 4: "über=all"}, b"\xaa\x55"]


@pytest.mark.enable_socket
def test_control_tells_people_what_it_did(
    quec: QuecIot, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quecbind.app.link.QUIET_S", 1.0)
    assert cli.main(["app", "control", *how(quec), "--write", "38=1", "--raw", "00", "--read", "all"]) == DONE

    assert capsys.readouterr().out == "written: 38\nsent: 1 bytes\nproperty  value\n3         6\n38        76\n"


@pytest.mark.enable_socket
def test_the_key_may_come_from_the_environment_and_a_wrong_one_is_a_refusal(
    quec: QuecIot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QUECBIND_APP_AUTH_KEY", base64.b64encode(b"x" * 16).decode())

    assert cli.main(["app", "control", *KEYS, *where(quec), "--read", "3"]) == REFUSED

    err = capsys.readouterr().err
    assert "fetch its present auth key" in err
    assert base64.b64encode(b"x" * 16).decode() not in err


@pytest.mark.enable_socket
def test_a_device_that_is_not_there_is_unreachable(capsys: pytest.CaptureFixture[str]) -> None:
    key = base64.b64encode(KEY).decode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        lan = ["--lan-address", "127.0.0.1", "--lan-port", str(nobody.getsockname()[1])]
        assert cli.main(["app", "control", *KEYS, *lan, "--auth-key", key, "--read", "3"]) == UNREACHABLE

    assert "switched on" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--raw", "xyz"],
        ["--raw", ""],
        ["--read", "3", "--auth-key", "short"],
        ["--read", "3", "--path", "mail"],
        ["--read", "3", "--lan-address", "here"],
        ["--read", "3", "--path", "ble"],
        ["--read", "3", "--path", "ble", "--auth-key", base64.b64encode(KEY).decode()],
        ["--read", "3", "--path", "cloud", "--auth-key", base64.b64encode(KEY).decode()],
    ],
)
def test_what_makes_no_sense_is_a_usage_error(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUECBIND_APP_AUTH_KEY", raising=False)
    assert cli.main(["app", "control", *KEYS, *arguments]) == USAGE


@pytest.mark.enable_socket
@pytest.mark.parametrize("text", ["38", "38=null", "9000=1", "switch=true"])
def test_a_write_that_cannot_be_reaches_nobody(quec: QuecIot, text: str) -> None:
    assert cli.main(["app", "control", *how(quec), "--write", text]) in {REFUSED, USAGE}
    assert quec.asked == []


@pytest.mark.enable_socket
def test_watch_prints_a_line_of_json_per_message_and_ends_in_time(
    quec: QuecIot, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["app", "watch", *how(quec), "--json", "--seconds", "4"]) == DONE

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [{name: value for name, value in line.items() if name != "at"} for line in lines] == [
        {"path": "lan"},
        {"path": "lan", "values": {"3": 6, "38": 76}},
    ]
    assert all(line["at"] > 1_700_000_000_000 for line in lines)


@pytest.mark.enable_socket
def test_watch_tells_people_what_changed(quec: QuecIot, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["app", "watch", *how(quec), "--seconds", "4"]) == DONE

    assert [line[9:] for line in capsys.readouterr().out.splitlines()] == ["path lan", "lan 3 6", "lan 38 76"]


@pytest.mark.enable_socket
def test_a_device_written_from_the_document_is_controlled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def discover(*_: Any, **__: Any) -> list[Any]:
        from quecbind.app.lan import FoundDevice

        return [FoundDevice(PK, DK, "127.0.0.1", device.port, None, 1)]

    monkeypatch.setattr("quecbind.app.lan.network.discover", discover)
    with device_by_hand.Device(KEY) as device:
        key = base64.b64encode(KEY).decode()
        assert cli.main(["app", "control", *KEYS, "--auth-key", key, "--read", "38,3", "--json"]) == DONE

    assert json.loads(capsys.readouterr().out)["read"] == {"38": True, "3": 36.6}


# --- what is shown ---


def test_lines_and_json_of_everything_that_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    for seen in (
        Seen("lan"),
        Seen("lan", values={"name\x1b[2J": b"\xff", "pair": {1: [True]}}),
        Seen("lan", raw=b"\xaa"),
        Seen("", reason="gone\x07"),
    ):
        app_use._as_line(seen)
        app_use._as_json(seen)

    lines = capsys.readouterr().out.splitlines()
    assert [line[9:] for line in lines if line[0] != "{"] == [
        "path lan",
        "lan name?[2J ff",
        'lan pair {"1": [true]}',
        "lan raw aa",
        "lost: gone?",
    ]
    assert [{k: v for k, v in json.loads(line).items() if k != "at"} for line in lines if line[0] == "{"] == [
        {"path": "lan"},
        {"path": "lan", "values": {"name\x1b[2J": "ff", "pair": {"1": [True]}}},
        {"path": "lan", "raw": "aa"},
        {"path": None, "reason": "gone\x07"},
    ]


def test_the_table_paints_over_itself_and_nothing_steers_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("LINES", "10")
    out = io.StringIO()
    table = live.LiveTable(("property", "value"), out)

    table.put("switch\x1b[2J", True)
    table.paint("p1aB3c D1")
    table.put("level", "x" * 50)
    table.put("switch\x1b[2J", False)
    table.paint("p1aB3c D1")

    first, second = out.getvalue().split("\x1b[3A")
    assert first == "\r\x1b[Jp1aB3c D1\nproperty    value\nswitch?[2J  yes\n"
    assert second == f"\r\x1b[Jp1aB3c D1\nproperty    value\nswitch?[2J  no\nlevel       {'x' * 16}…\n"


def test_a_table_higher_than_the_terminal_shows_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINES", "8")
    out = io.StringIO()
    table = live.LiveTable(("property", "value"), out)
    for number in range(100):
        table.put(number, number)

    table.paint("title")

    assert out.getvalue().count("\n") == 7


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_progress_is_painted_on_a_terminal_and_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)

    async def work() -> int:
        async with asyncio.timeout(10):
            while "searching" not in terminal.getvalue():
                await asyncio.sleep(0)
        return 5

    assert await live.shown(work(), lambda passed: "searching") == 5
    assert "searching" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


async def test_progress_is_not_painted_anywhere_else(capsys: pytest.CaptureFixture[str]) -> None:
    async def work() -> int:
        return 5

    assert await live.shown(work(), lambda passed: "searching") == 5
    assert capsys.readouterr().err == ""


def test_the_screen_says_over_which_path(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    screen = app_use._Screen("p1aB3c D1")

    for seen in (Seen("lan"), Seen("lan", values={3: 4}), Seen("lan", raw=b"\x01"), Seen("", reason="gone")):
        screen.show(seen)

    text = terminal.getvalue()
    assert "over lan" in text
    assert "raw data" in text
    assert "not connected: gone" in text


def test_a_refusal_on_any_way_is_told_apart_from_nobody_there() -> None:
    assert NoPathError({"lan": PathLostError("a"), "cloud": KeyRefusedError("b")}).is_refused
    assert not NoPathError({"lan": PathLostError("a")}).is_refused
