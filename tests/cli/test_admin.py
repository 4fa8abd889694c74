"""Admin commands on a data directory that nobody serves: each one goes through the operator API all the same."""

import contextlib
import json
import re
import shlex
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from quecbind import cli
from quecbind.center.domain.accounts import check_password
from quecbind.cli.outcome import DONE, REFUSED, USAGE
from tests.center.domain.power_station import power_station


class Command:
    """Runs commands on one data directory."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data = data
        self._capsys = capsys
        self.err = ""

    def run(self, *arguments: str) -> tuple[int, str]:
        code = cli.main([*arguments, "--data", str(self.data)])
        out, self.err = self._capsys.readouterr()
        return code, out

    def json(self, *arguments: str) -> Any:
        code, out = self.run(*arguments, "--json")
        assert code == DONE, self.err
        return json.loads(out)


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.delenv("QUECBIND_APP_PASSWORD", raising=False)
    return Command(tmp_path / "data", capsys)


def test_a_product_is_created_with_what_was_asked_for(command: Command) -> None:
    made = command.json(
        *("product", "create", "Lamp", "--bind-mode", "single", "--re-enrol", "open", "--device-limit", "5"),
        *("--default-window", "60", "--allow-device-key-binding", "--product-key", "p1aB3c"),
    )

    shown = command.json("product", "show", "p1aB3c")
    assert made["product_key"] == "p1aB3c"
    assert len(made["product_secret"]) == 16
    assert (shown["bind_mode"], shown["re_enrol"], shown["device_limit"]) == ("single", "open", 5)
    assert (shown["default_window_s"], shown["allow_device_key_binding"]) == (60, True)
    assert shown["product_secret"] is None


def test_a_product_for_some_user_domains_is_created_with_its_secret(command: Command) -> None:
    domains = sorted(command.json("domain", "create", name)["user_domain"] for name in ("One", "Two"))

    made = command.json("product", "create", "Lamp", "--domain", domains[1], "--domain", domains[0])

    assert len(made["product_secret"]) == 16
    assert (made["domain_access"], made["user_domains"]) == ("listed", domains)
    assert command.json("product", "show", made["product_key"]) == {**made, "product_secret": None}


def test_a_product_for_a_user_domain_that_does_not_exist_is_not_created(command: Command) -> None:
    assert command.run("product", "create", "Lamp", "--domain", "Q.DM.9.9")[0] == REFUSED

    assert "5015" in command.err
    assert command.json("product", "list") == []


def test_a_product_is_changed_in_what_is_given_and_in_nothing_else(command: Command) -> None:
    made = command.json("product", "create", "Lamp", "--no-allow-sharing", "--replay-strict")
    product_key = made["product_key"]

    changed = command.json("product", "update", product_key, "--allow-sharing", "--re-enrol", "locked")

    assert (made["allow_sharing"], made["replay_strict"]) == (False, True)
    assert changed == {**made, "product_secret": None, "allow_sharing": True, "re_enrol": "locked"}
    assert command.json("product", "show", product_key) == changed
    assert command.run("product", "update", product_key)[0] == USAGE
    assert command.run("product", "update", "p1none", "--no-allow-sharing")[0] == REFUSED


def test_products_are_listed_and_deleted(command: Command) -> None:
    product_key = command.json("product", "create", "Lamp")["product_key"]

    _, listed = command.run("product", "list")
    deleted = command.json("product", "delete", product_key)

    assert product_key in listed
    assert deleted == {"product_key": product_key, "deleted": True}
    assert command.json("product", "list") == []
    assert command.run("product", "list") == (DONE, "no products\n")


def test_a_secret_is_shown_once_and_said_to_be(command: Command) -> None:
    _, out = command.run("product", "create", "Lamp")

    assert "shown this once" in out
    assert "product secret" not in command.run("product", "list")[1]


def test_domains_and_users(command: Command) -> None:
    domain = command.json("domain", "create", "Lamp App")
    user = command.json("user", "create", "ada@example.com", "--domain", domain["user_domain"], "--password", "ada-123")

    listed = command.json("user", "list", "--domain", domain["user_domain"])
    assert len(domain["user_domain_secret"]) == 44
    assert [one["uid"] for one in listed] == [user["uid"]]
    assert command.json("domain", "list")[0]["user_domain_secret"] is None
    assert "ada@example.com" in command.run("user", "list")[1]


def test_a_user_is_disabled_and_enabled(command: Command) -> None:
    domain = command.json("domain", "create", "Lamp App")["user_domain"]
    uid = command.json("user", "create", "ada@example.com", "--domain", domain, "--password", "ada-123")["uid"]

    assert command.json("user", "disable", uid)["is_disabled"]
    assert command.run("user", "enable", uid) == (DONE, f"user {uid} (ada@example.com) may sign in again\n")

    assert not command.json("user", "list")[0]["is_disabled"]
    assert command.run("user", "disable", "C1")[0] == REFUSED
    assert "error 5033" in command.err


def test_the_example_in_the_help_makes_a_user(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["user", "create", "--help"])
    example = next(line for line in capsys.readouterr().out.splitlines() if "quecbind user create ada@" in line)
    domain = command.json("domain", "create", "Lamp App")["user_domain"]

    made = command.json(*shlex.split(example)[shlex.split(example).index("quecbind") + 1 :], "--domain", domain)

    assert made["email"] == "ada@example.com"


def test_every_password_in_the_documents_is_one_that_is_taken() -> None:
    documents = [path.read_text() for path in Path(__file__).parents[2].joinpath("docs").rglob("*.md")]
    shown = [found for text in documents for found in re.findall(r'sign_in\("[^"]+", "([^"]+)"\)', text)]

    assert shown
    assert [password for password in shown if check_password(password) is not None] == []


def test_a_password_comes_from_the_environment_too(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    domain = command.json("domain", "create", "Lamp App")["user_domain"]
    monkeypatch.setenv("QUECBIND_APP_PASSWORD", "ada-123")

    assert command.json("user", "create", "ada@example.com", "--domain", domain)["email"] == "ada@example.com"


def test_without_a_password_and_a_terminal_it_is_a_usage_error(command: Command) -> None:
    code, _ = command.run("user", "create", "ada@example.com", "--domain", "Q.DM.10001.1")

    assert code == USAGE
    assert "QUECBIND_APP_PASSWORD" in command.err


def test_access_keys_are_created_listed_and_revoked(command: Command) -> None:
    key = command.json("key", "create", "factory")

    command.json("key", "revoke", key["id"])

    listed = command.json("key", "list")
    assert key["access_key"].startswith("qbk_")
    assert listed[0]["access_key"] is None
    assert listed[0]["revoked_at"] is not None
    assert "factory" in command.run("key", "list")[1]


def test_devices_are_imported_shown_disabled_enabled_approved_and_deleted(command: Command, tmp_path: Path) -> None:
    product_key = command.json("product", "create", "Lamp")["product_key"]
    file = tmp_path / "devices.json"
    rows = [{"product_key": product_key, "device_key": f"D{n}", "serial": f"SN-{n}"} for n in range(3)]
    file.write_text(json.dumps(rows))

    imported = command.json("device", "import", str(file))
    again = command.json("device", "import", str(file))
    disabled = command.json("device", "disable", product_key, "D1")
    enabled = command.json("device", "enable", product_key, "D1")
    approved = command.json("device", "approve", product_key, "D1")
    command.json("device", "delete", product_key, "D2")

    assert imported == {"imported_count": 3, "known_count": 0}
    assert again == {"imported_count": 0, "known_count": 3}
    assert (disabled["state"], enabled["state"], enabled["serial"]) == ("disabled", "issued", "SN-1")
    assert approved["approved_until_at"] is not None
    assert [one["device_key"] for one in command.json("device", "list", "--product", product_key)] == ["D0", "D1"]
    assert "nobody owns this device" in command.run("device", "show", product_key, "D1")[1]


@pytest.mark.parametrize(("content", "sentence"), [("{", "not JSON"), ("{}", "JSON list"), (None, "cannot be read")])
def test_an_import_file_that_makes_no_sense_is_a_usage_error(
    command: Command, tmp_path: Path, content: str | None, sentence: str
) -> None:
    file = tmp_path / "devices.json"
    if content is not None:
        file.write_text(content)

    code, _ = command.run("device", "import", str(file))

    assert code == USAGE
    assert sentence in command.err


def test_devices_are_imported_from_csv(command: Command, tmp_path: Path) -> None:
    product_key = command.json("product", "create", "Lamp")["product_key"]
    file = tmp_path / "devices.csv"
    file.write_bytes(
        b"\xef\xbb\xbfproduct_key, device_key,serial,device_secret\r\n"
        + f"{product_key},D1,SN-1,\r\n{product_key},D2,,abcDEF123\r\n".encode()
    )

    assert command.json("device", "import", str(file)) == {"imported_count": 2, "known_count": 0}

    first, second = command.json("device", "list")
    assert (first["device_key"], first["serial"], first["state"]) == ("D1", "SN-1", "issued")
    assert (second["device_key"], second["serial"], second["state"]) == ("D2", None, "active")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("D1,SN-1,3", "more cells than names"),
        ("D1,SN 1", "serial"),
        ("", "device_key"),
        ('"D1,SN-1', "not CSV"),
        ("D1\0,SN-1", "device_key"),
    ],
)
def test_a_line_of_csv_that_makes_no_sense_is_refused_and_imports_nothing(
    command: Command, tmp_path: Path, line: str, sentence: str
) -> None:
    product_key = command.json("product", "create", "Lamp")["product_key"]
    file = tmp_path / "devices.csv"
    file.write_text(f"product_key,device_key,serial\n{product_key},D0,SN-0\n{product_key},{line}\n")

    code, _ = command.run("device", "import", str(file))

    assert code in {USAGE, REFUSED}
    assert sentence in command.err
    assert command.json("device", "list") == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [({"product_key": "p9zzzz"}, "device 2101: there is no product"), ({"device_key": "D 1"}, "$[2100].device_key")],
)
def test_an_import_that_is_refused_midway_says_where_in_the_file_and_what_is_in(
    command: Command, tmp_path: Path, wrong: dict[str, str], sentence: str
) -> None:
    product_key = command.json("product", "create", "Lamp")["product_key"]
    rows = [{"product_key": product_key, "device_key": f"D{n:04d}"} for n in range(2500)]
    rows[2100] |= wrong
    file = tmp_path / "devices.json"
    file.write_text(json.dumps(rows))

    code, _ = command.run("device", "import", str(file))

    assert code == REFUSED
    assert "the first 2000 of 2500 devices are in" in command.err
    assert sentence in command.err
    assert command.json("product", "show", product_key)["device_count"] == 2000


def test_more_than_one_page_is_listed_whole(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    product_key = command.json("product", "create", "Lamp")["product_key"]
    file = tmp_path / "devices.json"
    file.write_text(json.dumps([{"product_key": product_key, "device_key": f"D{n:04d}"} for n in range(1250)]))

    command.json("device", "import", str(file))

    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    listed = command.json("device", "list")
    assert len({one["device_key"] for one in listed}) == 1250
    assert command.err.endswith("\r1250 of 1250 read\n")


def test_the_audit_log_is_listed_newest_first_and_checked(command: Command) -> None:
    product_key = command.json("product", "create", "Lamp")["product_key"]
    command.json("domain", "create", "App")

    entries = command.json("audit", "list")
    newest = command.json("audit", "list", "--count", "1")
    of_device = command.json("audit", "list", "--device", product_key, "D1")

    assert [entry["action"] for entry in entries] == ["domain.created", "product.created"]
    assert newest == entries[:1]
    assert of_device == []
    assert command.json("audit", "check") == {"entry_count": 2, "problem": None, "last_hash": entries[0]["hash"]}
    assert "product.created" in command.run("audit", "list")[1]
    assert "is whole, 2 entries" in command.run("audit", "check")[1]


def test_the_audit_log_is_exported_line_by_line_oldest_first(command: Command) -> None:
    for name in ("Lamp", "Fan", "\u2028Plug"):
        command.json("product", "create", name)

    code, out = command.run("audit", "export")
    told = command.err
    quiet = command.run("audit", "export", "--json")[1]

    entries = [json.loads(line) for line in out.splitlines()]
    assert code == DONE
    assert [entry["seq"] for entry in entries] == [1, 2, 3]
    assert entries[::-1] == command.json("audit", "list")
    assert told == "3 entries, up to 3 of 3\n"
    assert (quiet, command.err) == (out, "")
    assert out.isascii()


def test_the_audit_log_is_exported_in_pieces_from_a_time_on(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quecbind.cli.center_api.MAX_PIECE", 2)
    for number in range(5):
        command.json("product", "create", f"Lamp {number}")

    lines = command.run("audit", "export")[1].splitlines()
    told = command.err.splitlines()
    later = command.run("audit", "export", "--since", "2999-01-01")

    assert [json.loads(line)["seq"] for line in lines] == [1, 2, 3, 4, 5]
    assert told == ["2 entries, up to 2 of 5", "4 entries, up to 4 of 5", "5 entries, up to 5 of 5"]
    assert later == (DONE, "")
    assert command.err == "no audit entries\n"


@pytest.mark.parametrize("time", ["yesterday", "", "1"])
def test_a_time_that_is_none_is_a_usage_error(command: Command, time: str) -> None:
    assert command.run("audit", "export", "--since", time) == (USAGE, "")


def test_verify_finds_what_was_changed_and_says_it_by_its_exit_code(command: Command) -> None:
    for name in ("Lamp", "Fan"):
        command.json("product", "create", name)
    noted = command.run("audit", "verify")[1].splitlines()[1].removeprefix("to note elsewhere: ")
    assert command.run("audit", "verify", "--noted", noted)[0] == DONE
    assert command.run("audit", "verify", "--noted", "1:" + noted.partition(":")[2])[0] == REFUSED

    with contextlib.closing(sqlite3.connect(command.data / "quecbind.db")) as database, database:
        database.execute("UPDATE audit SET who = 'operator mallory' WHERE seq = 1")
    code, out = command.run("audit", "verify")

    assert code == REFUSED
    assert out == "the audit log is NOT whole: entry 1 was changed, or the one before it\n"


def test_a_long_log_is_given_the_time_to_be_verified(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def ask(*_: object, timeout_s: float, **__: object) -> dict[str, object]:
        waited.append(timeout_s)
        return {"problem": None, "entry_count": 0, "last_hash": ""}

    monkeypatch.setattr("quecbind.cli.audit.ask", ask)

    assert command.run("audit", "verify")[0] == DONE
    assert waited == [3600.0]


def test_a_refusal_carries_the_platforms_number(command: Command) -> None:
    command.json("product", "create", "Lamp")

    code, out = command.run("product", "show", "p1none", "--json")

    assert (code, out) == (REFUSED, "")
    assert "(error 5313)" in command.err


@pytest.mark.parametrize("product_key", ["../keys", "..", "a/b", "a?b=c", "%2e%2e"])
def test_an_id_that_is_a_path_leads_nowhere(command: Command, product_key: str) -> None:
    command.json("product", "create", "Lamp")

    code, out = command.run("product", "show", product_key)

    assert (code, out) == (REFUSED, "")


def test_reading_does_not_make_a_data_directory(command: Command) -> None:
    code, _ = command.run("product", "list")

    assert code == REFUSED
    assert "no Developer Center" in command.err
    assert not command.data.exists()


def test_reading_does_not_make_a_developer_center_in_a_directory_that_is_there(command: Command) -> None:
    command.data.mkdir()

    assert command.run("product", "list")[0] == REFUSED

    assert list(command.data.iterdir()) == []


def test_a_lost_master_key_is_said_to_be_lost(command: Command) -> None:
    command.json("product", "create", "Lamp")
    (command.data / "master.key").unlink()

    code, _ = command.run("product", "list")

    assert code == REFUSED
    assert "master.key" in command.err


def test_a_thing_model_is_imported_exported_and_removed(command: Command, tmp_path: Path) -> None:
    product_key = command.json("product", "create", "Lamp")["product_key"]
    file = tmp_path / "tsl.json"
    file.write_text(json.dumps(power_station()))

    imported = command.json("product", "tsl", "import", product_key, str(file))
    exported = command.json("product", "tsl", "export", product_key)
    file.write_text(json.dumps(exported))
    again = command.json("product", "tsl", "import", product_key, str(file))
    removed = command.json("product", "tsl", "remove", product_key)

    assert (imported["property_count"], again) == (12, imported)
    assert exported["profile"]["productKey"] == product_key
    assert removed == {"product_key": product_key, "model": None}
    assert command.run("product", "tsl", "export", product_key)[0] == REFUSED


def test_a_thing_model_that_is_none_is_refused_by_place(command: Command, tmp_path: Path) -> None:
    product_key = command.json("product", "create", "Lamp")["product_key"]
    file = tmp_path / "tsl.json"
    file.write_text('{"properties":[{"id":1,"code":"on","dataType":"LAMP"}]}')

    code, _ = command.run("product", "tsl", "import", product_key, str(file))

    assert code == REFUSED
    assert "properties[0].dataType" in command.err
    file.write_text("{")
    assert command.run("product", "tsl", "import", product_key, str(file))[0] == USAGE
    assert command.run("product", "tsl", "import", product_key, str(tmp_path / "none"))[0] == USAGE
