"""Which Developer Center a command talks to: the one that runs, or the data itself."""

import asyncio
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from quecbind.cli import center_api
from quecbind.cli.center_api import LiveCenter, OperatorApi, ask, path
from quecbind.cli.outcome import DONE, UNREACHABLE, CommandError
from tests.e2e.center_process import CenterProcess

HOLD = """
import fcntl, sys, time
with open(sys.argv[1], "wb") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print(flush=True)
    time.sleep(0.7)
"""


@pytest.fixture
def ended_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


class TestServed:
    pytestmark = pytest.mark.enable_socket

    @pytest.fixture
    def center(self, tmp_path: Path) -> Iterator[CenterProcess]:
        center = CenterProcess(tmp_path / "data", tmp_path / "log").start()
        yield center
        if center.process is not None:
            assert center.stop() == DONE

    def test_a_running_server_is_asked_over_http(self, center: CenterProcess) -> None:
        live = LiveCenter.of(center.data)
        product = ask(center.data, "POST", "/products", {"name": "lamp"})

        assert live is not None
        assert live.url == center.url
        assert live.local_key not in repr(live)
        assert ask(center.data, "GET", path("products", product["product_key"]))["name"] == "lamp"

    def test_a_killed_server_leaves_its_file_and_the_data_is_asked(self, center: CenterProcess) -> None:
        ask(center.data, "POST", "/products", {"name": "lamp"})
        center.kill()

        assert (center.data / center_api.SERVE_FILE).exists()
        assert ask(center.data, "GET", "/products")["total_count"] == 1

    def test_another_process_that_took_the_number_is_no_server(self, center: CenterProcess) -> None:
        ask(center.data, "POST", "/products", {"name": "lamp"})
        center.kill()
        file = center.data / center_api.SERVE_FILE
        file.write_text(json.dumps({**json.loads(file.read_text()), "pid": os.getpid()}))

        assert ask(center.data, "GET", "/products")["total_count"] == 1


def test_an_answer_is_waited_for_as_long_as_is_asked() -> None:
    waited: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        waited.append(request.extensions["timeout"]["read"])
        return httpx.Response(200, json={})

    async def ask_twice() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://center") as http:
            await OperatorApi(http).ask("GET", "/products")
            await OperatorApi(http).ask("GET", "/audit/check", timeout_s=600.0)

    asyncio.run(ask_twice())

    assert waited == [center_api.TIMEOUT_S, 600.0]


def test_a_directory_that_stays_held_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(center_api, "_WAIT_S", 0.2)
    with (tmp_path / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with pytest.raises(CommandError) as error:
            ask(tmp_path, "GET", "/products")

    assert error.value.exit_code == UNREACHABLE
    assert "in use" in str(error.value)


def test_a_directory_that_is_let_go_of_is_waited_for(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLD,
            str(tmp_path / "lock"),
        ],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()

    answer = ask(tmp_path, "GET", "/products")

    assert answer["items"] == []
    holder.wait(10)
    holder.stdout.close()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"http": "x", "pid": "y", "local_key": "z"}'])
def test_a_file_that_makes_no_sense_names_no_server(tmp_path: Path, content: str) -> None:
    (tmp_path / center_api.SERVE_FILE).write_text(content)

    assert LiveCenter.of(tmp_path) is None


def test_a_process_that_has_ended_is_no_server(tmp_path: Path, ended_pid: int) -> None:
    described = {"http": "http://127.0.0.1:1", "pid": ended_pid, "local_key": "k"}
    (tmp_path / center_api.SERVE_FILE).write_text(json.dumps(described))

    assert LiveCenter.of(tmp_path) is None


@pytest.mark.parametrize(("status", "content"), [(200, b"<html>"), (404, b"<html>"), (404, b""), (500, b"[]")])
async def test_whoever_listens_there_now_is_said_to_be_no_center(status: int, content: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=content))
    async with httpx.AsyncClient(base_url="http://center", transport=transport) as http:
        api = OperatorApi(http)

        with pytest.raises(CommandError, match=r"not a Developer Center's operator API") as error:
            await api.ask("GET", "/products")

    assert error.value.exit_code == UNREACHABLE


def test_a_path_is_made_of_its_levels_alone() -> None:
    assert path("devices", "../x", "a?b") == "/devices/..%2Fx/a%3Fb"
