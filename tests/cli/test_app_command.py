"""`quecbind app ...` against a real Developer Center; pairing itself is shown by the demo's test."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quecbind import cli
from quecbind.cli.outcome import DONE, REFUSED, UNREACHABLE, USAGE
from quecbind.testing.device import FakeDevice
from tests.e2e.center_process import CenterProcess

EMAIL, PASSWORD, CODE, DEVICE_KEY = "ada@example.com", "ada-123", "0123456789ABCDEF", "D1"
VARIABLES = ("URL", "DOMAIN", "DOMAIN_SECRET", "EMAIL", "PASSWORD")


class Account:
    """A user of a running Developer Center, on the command line."""

    def __init__(self, center: CenterProcess) -> None:
        self.center = center
        self.product = center.make("/products", name="lamp")
        domain = center.make("/domains", name="App")
        center.make("/users", email=EMAIL, user_domain=domain["user_domain"], password=PASSWORD)
        self.environment = {
            "QUECBIND_APP_URL": center.url,
            "QUECBIND_APP_DOMAIN": domain["user_domain"],
            "QUECBIND_APP_DOMAIN_SECRET": domain["user_domain_secret"],
            "QUECBIND_APP_EMAIL": EMAIL,
            "QUECBIND_APP_PASSWORD": PASSWORD,
        }

    def report_code(self) -> None:
        async def report() -> None:
            async with FakeDevice(
                *(self.center.host, self.center.mqtt_port),
                *(self.product["product_key"], self.product["product_secret"], DEVICE_KEY),
            ) as device:
                await device.enrol()
                await device.connect()
                await device.report_bind_code(CODE)

        asyncio.run(report())


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    directory: Path = tmp_path_factory.mktemp("center")
    center = CenterProcess(directory / "data", directory / "log").start()
    yield Account(center)
    assert center.stop() == DONE


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials in the environment."""
    for name in VARIABLES:
        monkeypatch.delenv(f"QUECBIND_APP_{name}", raising=False)


@pytest.fixture
def signed_in(bare: None, account: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    for name, value in account.environment.items():
        monkeypatch.setenv(name, value)
    return account


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert cli.main(["app", *arguments, "--json"]) == DONE
    return json.loads(capsys.readouterr().out)


@pytest.mark.enable_socket
def test_from_bind_code_to_unbound_again(signed_in: Account, capsys: pytest.CaptureFixture[str]) -> None:
    keys = (signed_in.product["product_key"], DEVICE_KEY)
    signed_in.report_code()

    bound = answer(capsys, "bind", *keys, CODE, "--name", "Lamp")
    renamed = answer(capsys, "rename", *keys, "Desk lamp")
    listed = answer(capsys, "devices")
    assert cli.main(["app", "devices"]) == DONE
    table = capsys.readouterr().out
    unbound = answer(capsys, "unbind", *keys)

    assert bound["product_name"] == "lamp"
    assert renamed["name"] == "Desk lamp"
    assert [(one["device_key"], one["name"]) for one in listed["devices"]] == [(DEVICE_KEY, "Desk lamp")]
    assert "auth_key" not in listed["devices"][0]
    assert "Desk lamp" in table
    assert unbound["binding_sum"] == 0


@pytest.mark.enable_socket
def test_login_shows_who_it_is(signed_in: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "login")["email"] == EMAIL


@pytest.mark.enable_socket
def test_no_log_shows_what_is_asked(signed_in: Account, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert cli.main(["app", "login"]) == DONE

    assert [record.getMessage() for record in caplog.records if record.name.startswith("http")] == []


@pytest.mark.enable_socket
def test_a_refusal_names_its_number_and_what_to_do(signed_in: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["app", "bind", signed_in.product["product_key"], "D9", CODE, "--json"]) == REFUSED

    out, err = capsys.readouterr()
    assert out == ""
    assert "5460" in err
    assert "check that it is online" in err


@pytest.mark.enable_socket
def test_flags_win_over_the_environment(signed_in: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["app", "login", "--email", "nobody@example.com"]) == REFUSED
    assert cli.main(["app", "login", "--url", "http://127.0.0.1:1"]) == UNREACHABLE

    assert "http://127.0.0.1:1 cannot be reached" in capsys.readouterr().err


@pytest.mark.enable_socket
@pytest.mark.usefixtures("bare")
def test_nobody_on_the_network_is_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "discover", "--lan-address", "127.0.0.1", "--lan-port", "9", "--seconds", "0.1") == []


@pytest.mark.usefixtures("bare")
def test_missing_credentials_are_all_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["app", "devices", "--url", "http://127.0.0.1:1"]) == USAGE

    err = capsys.readouterr().err
    assert "--url" not in err
    for flag in ("--domain (", "--domain-secret (", "--email ("):
        assert flag in err


@pytest.mark.parametrize("address", ["localhost", "256.0.0.1", "1.2.3", "::1", "１.2.3.4"])
def test_an_address_that_is_none_is_a_usage_error(address: str) -> None:
    assert cli.main(["app", "discover", "--lan-address", address]) == USAGE
