"""BLE on the command line: where a network's password may come from, and which radios there are."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quecbind import cli
from quecbind.cli import app_ble
from quecbind.cli.outcome import DONE, UNREACHABLE, USAGE, CommandError
from tests.app.ble.test_scan import FULL, ListRadio, sighting

SECRET = "correct horse"


def arguments(**given: object) -> argparse.Namespace:
    return argparse.Namespace(**{"ssid": "home", "wifi_password_file": None, **given})


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(app_ble.SSID_VARIABLE, raising=False)
    monkeypatch.delenv(app_ble.PASSWORD_VARIABLE, raising=False)


def test_the_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(app_ble.PASSWORD_VARIABLE, SECRET)
    assert app_ble.wifi_of(arguments()) == ("home", SECRET)
    monkeypatch.setenv(app_ble.SSID_VARIABLE, "other")
    assert app_ble.wifi_of(arguments(ssid=None)) == ("other", SECRET)


def test_an_open_network_has_an_empty_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(app_ble.PASSWORD_VARIABLE, "")

    assert app_ble.wifi_of(arguments()) == ("home", "")


def test_the_password_comes_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(SECRET + "\n")

    assert app_ble.wifi_of(arguments(wifi_password_file=file)) == ("home", SECRET)


@pytest.mark.parametrize("given", [{"ssid": None}, {}, {"wifi_password_file": Path("/nowhere")}])
def test_what_is_missing_is_a_usage_error(given: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)

    with pytest.raises(CommandError) as error:
        app_ble.wifi_of(arguments(**given))

    assert error.value.exit_code == USAGE


def test_the_pin_comes_from_the_environment_too_and_belongs_to_a_named_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(app_ble.PIN_VARIABLE, "271828")
    assert app_ble.pin_of(arguments(pin=None, dk="D1")) == "271828"
    assert app_ble.pin_of(arguments(pin="314159", dk="D1")) == "314159"
    assert app_ble.pin_of(arguments(pin="", dk="D1")) == ""
    with pytest.raises(CommandError, match="needs --dk"):
        app_ble.pin_of(arguments(pin=None, dk=None))

    monkeypatch.delenv(app_ble.PIN_VARIABLE)
    assert app_ble.pin_of(arguments(pin=None, dk=None)) is None


def test_a_scan_shows_ble_chips_as_what_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextlib.asynccontextmanager
    async def radio(name: str) -> AsyncIterator[ListRadio]:
        chip, bound = bytes.fromhex("aabbccddeeff") + b"p11abc", bytes.fromhex("aabbccddee00")
        yield ListRadio(sighting(FULL), sighting(chip, "b"), sighting(bound, "c"))

    monkeypatch.setattr(app_ble, "radio_of", radio)

    assert cli.main(["app", "scan", "--radio", "bleak", "--seconds", "0.1", "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    assert [(one["path"], one["product_key"], one["device_key"], one["is_bound"]) for one in found] == [
        ("ble", "p11abc", "aabbccddeeff", False),
        ("ble chip", "p11abc", "AABBCCDDEEFF", False),
        ("ble chip", None, "AABBCCDDEE00", True),
    ]
    assert cli.main(["app", "scan", "--radio", "bleak", "--seconds", "0.1"]) == DONE
    assert capsys.readouterr().out.count("ble chip") == 2


def test_no_argument_takes_a_network_password() -> None:
    parser = argparse.ArgumentParser()
    app_ble.add_provision(parser)

    flags = [flag for action in parser._actions for flag in action.option_strings if "password" in flag]

    assert flags == ["--wifi-password-file"]


@pytest.mark.parametrize(("radio", "code"), [("wlan", USAGE), ("bumble:", USAGE), ("bumble:no-such:1", UNREACHABLE)])
def test_a_radio_that_is_none_is_said_so(radio: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["app", "scan", "--radio", radio, "--seconds", "0.1"]) == code
    assert capsys.readouterr().err
