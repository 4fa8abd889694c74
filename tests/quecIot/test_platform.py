"""The interpreter's side: clock, wake-up, streams, listeners, on this interpreter."""

from __future__ import annotations

import socket
import threading

import pytest

from quecIot import _platform
from quecIot._platform import Stream, Wake


def test_the_clock_never_goes_back() -> None:
    times = [_platform.monotonic() for _ in range(100)]

    assert times == sorted(times)


def test_entropy_is_what_was_asked_for() -> None:
    assert len(_platform.entropy(16)) == 16
    assert _platform.entropy(16) != _platform.entropy(16)


@pytest.mark.enable_socket
def test_a_wake_ends_a_wait_and_is_cleared() -> None:
    wake = Wake()
    threading.Timer(0.05, wake.set).start()

    _platform.wait([wake.socket], [], 20)
    wake.clear()
    before = _platform.monotonic()
    _platform.wait([wake.socket], [], 0.02)

    assert 0.01 < _platform.monotonic() - before < 5
    wake.close()


@pytest.mark.enable_socket
def test_a_wake_that_nobody_hears_never_blocks() -> None:
    wake = Wake()

    for _ in range(100000):
        wake.set()

    wake.close()


@pytest.mark.enable_socket
def test_a_stream_reads_nothing_something_and_the_end() -> None:
    near, far = socket.socketpair()
    stream = Stream(near, tls=False)

    assert stream.read() is None
    far.send(b"x")
    assert stream.read() == b"x"
    far.close()
    assert stream.read() == b""
    stream.close()


@pytest.mark.enable_socket
def test_a_stream_takes_what_fits() -> None:
    near, far = socket.socketpair()
    stream = Stream(near, tls=False)
    data = bytes(1 << 24)

    taken = stream.write(data)

    assert 0 < taken < len(data)
    assert stream.write(data) == 0
    stream.close()
    far.close()


@pytest.mark.enable_socket
def test_a_listener_takes_any_free_port() -> None:
    first, first_port = _platform.tcp_listener("127.0.0.1", 0)
    second, second_port = _platform.tcp_listener("127.0.0.1", 0)

    assert first_port != second_port
    assert first.getsockname()[1] == first_port
    with pytest.raises(OSError, match="in use"):
        _platform.tcp_listener("127.0.0.1", first_port)
    first.close()
    second.close()


@pytest.mark.enable_socket
def test_a_server_that_is_not_there_is_an_os_error() -> None:
    sock, port = _platform.tcp_listener("127.0.0.1", 0)
    sock.close()

    with pytest.raises(OSError, match="refused"):
        _platform.connect("127.0.0.1", port, False, "", True, 5)
