"""The certificate of a running server is exchanged, and that goes wrong: the earlier one goes on serving, one sentence
for each listener says why, nobody is cut off, and the next SIGHUP with sound files takes them.

Files are found missing, empty, half written, not belonging together, or as something else: what a copy that was
interrupted leaves, and what a script that writes the two files one after the other shows for a moment.
"""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from quecbind.wire import mqtt
from tests.center.certificate import write_certificate
from tests.e2e.center_process import run_command
from tests.e2e.test_tls import Server, said_to
from tests.faults.scene import is_one_sentence
from tests.tables import Row

DEVICE = mqtt.Connect("qdnobody", 120, True, None, b"0;0000;pNONE;eA==").encode()


class Files(NamedTuple):
    certificate: Path
    key: Path


class Wrong(NamedTuple):
    """How files of a new certificate arrive, and the words that must be in what is said of it."""

    name: str
    do: Callable[[Files], object]
    told: str


def other(files: Files) -> Files:
    """A certificate and a key that belong together, and not to `files`."""
    place = files.certificate.parent / "next"
    place.mkdir(exist_ok=True)
    return Files(*write_certificate(place))


def halve(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def cut_chain(files: Files) -> None:
    chain = files.certificate.read_bytes() + other(files).certificate.read_bytes()
    files.certificate.write_bytes(chain[:-200])


def in_the_way(file: Path) -> None:
    file.unlink()
    file.mkdir()


def encrypt(files: Files) -> None:
    place = files.key.parent / "encrypted"
    place.mkdir()
    for made, wanted in zip(write_certificate(place, b"password"), files, strict=True):
        shutil.copy(made, wanted)


WRONG = (
    Wrong("certificate missing", lambda files: files.certificate.unlink(), "cannot be read"),
    Wrong("key missing", lambda files: files.key.unlink(), "cannot be read"),
    Wrong("certificate empty", lambda files: files.certificate.write_bytes(b""), "are no certificate and its key"),
    Wrong("key empty", lambda files: files.key.write_bytes(b""), "are no certificate and its key"),
    Wrong("certificate half written", lambda files: halve(files.certificate), "are no certificate and its key"),
    Wrong("key half written", lambda files: halve(files.key), "are no certificate and its key"),
    Wrong("second certificate of the chain half written", cut_chain, "are no certificate and its key"),
    Wrong(
        "certificate is something else", lambda files: files.certificate.write_text("text " * 99), "are no certificate"
    ),
    Wrong(
        "new certificate, key not yet there",
        lambda files: shutil.copy(other(files).certificate, files.certificate),
        "are no certificate and its key",
    ),
    Wrong(
        "new key, certificate not yet there",
        lambda files: shutil.copy(other(files).key, files.key),
        "are no certificate and its key",
    ),
    Wrong("certificate is a directory", lambda files: in_the_way(files.certificate), "cannot be read"),
    Wrong("key needs a password", encrypt, "are no certificate and its key"),
)


QUICK = ("certificate half written", "new certificate, key not yet there")


def cases() -> list[object]:
    return [
        pytest.param(wrong, id=wrong.name, marks=() if wrong.name in QUICK else pytest.mark.full) for wrong in WRONG
    ]


def repair(files: Files) -> None:
    """A sound new certificate, whatever is there."""
    for file in files:
        if file.is_dir():
            file.rmdir()
    for made, wanted in zip(other(files), files, strict=True):
        shutil.copy(made, wanted)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path, *("--http-port", "0", "--mqtt-port", "0", "--https-port", "0", "--mqtts-port", "0"))
    yield running
    assert running.stop() == 0


@pytest.mark.parametrize("wrong", cases())
def test_files_that_went_wrong_leave_the_earlier_certificate_until_they_are_right(
    server: Server, wrong: Wrong, row: Row
) -> None:
    files, trusting = Files(server.certificate, server.key), server.trusted()
    with server.connect("mqtts", trusting) as device:
        device.sendall(DEVICE)
        assert device.recv(4) == b"\x20\x02\x00\x00"
        wrong.do(files)

        server.hang_up("tls.not_reloaded")
        served = [said_to(server, trusting)[:4] == b"\x20\x02\x00\x05", bool(device.recv(1))]

        lines = [line for line in server.log.read_text().splitlines() if "tls.not_reloaded" in line]
        repair(files)
        server.hang_up("tls.reloaded")
        is_new = said_to(server, server.trusted())[:4] == b"\x20\x02\x00\x05"
        with pytest.raises(ssl.SSLCertVerificationError):
            server.connect("mqtts", trusting)

    assert all("the earlier one stays" in line and wrong.told in line for line in lines)
    assert "Traceback" not in server.log.read_text()
    row(
        f"SIGHUP, {wrong.name}",
        "the earlier one serves, 2 lines",
        f"{'the earlier one serves' * all(served)}, {len(lines)} lines",
    )
    row("... and when it is right, SIGHUP", "the new one serves", "the new one serves" * is_new)


@pytest.mark.parametrize("wrong", cases())
def test_a_start_with_such_files_says_so_and_makes_nothing(tmp_path: Path, wrong: Wrong, row: Row) -> None:
    files = Files(*write_certificate(tmp_path))
    wrong.do(files)

    tls = ("--tls-cert", str(files.certificate), "--tls-key", str(files.key), "--mqtts-port", "0")
    started = run_command("serve", "--http-port", "0", "--mqtt-port", "0", "--data", str(tmp_path / "data"), *tls)

    assert wrong.told in started.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "data").exists()
    row(f"start, {wrong.name}: exit code, one sentence", (1, True), (started.returncode, is_one_sentence(started)))
