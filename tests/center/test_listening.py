"""Ports: what cannot be used is refused with a sentence."""

from __future__ import annotations

import socket

import pytest

from quecbind.center.listening import bind
from quecbind.center.services.errors import StartError

pytestmark = pytest.mark.enable_socket


def test_port_0_lets_the_system_choose() -> None:
    with bind("127.0.0.1", 0) as first, bind("127.0.0.1", 0) as second:
        assert first.getsockname()[1] != second.getsockname()[1] != 0


def test_a_host_name_is_listened_to_over_ipv4() -> None:
    with bind("localhost", 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_a_server_that_was_restarted_gets_its_port_back() -> None:
    with bind("127.0.0.1", 0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address, timeout=5):
            accepted, _ = listener.accept()
            accepted.close()

    with bind(*address) as again:
        assert again.getsockname() == address


def test_a_port_that_is_taken_is_refused() -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"127.0.0.1 port {port}: Address already in use"):
            bind("127.0.0.1", port)


def test_a_host_that_does_not_exist_is_refused() -> None:
    with pytest.raises(StartError, match=r"cannot listen on nowhere\.invalid"):
        bind("nowhere.invalid", 0)
