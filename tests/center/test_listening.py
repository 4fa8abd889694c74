"""Ports and TLS files: what cannot be used is refused with a sentence."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from quecbind.center.listening import bind, tls_context
from quecbind.center.services.errors import StartError
from tests.center.certificate import write_certificate

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


def test_an_encrypted_key_is_refused_because_nobody_can_type_its_password(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path, password=b"secret")

    with pytest.raises(StartError, match="the key is encrypted"):
        tls_context(certificate, key)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    certificate, _ = write_certificate(tmp_path / "a")
    _, other_key = write_certificate(tmp_path / "b")

    with pytest.raises(StartError, match="are no certificate and its key"):
        tls_context(certificate, other_key)


def test_a_directory_is_no_tls_file(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot be read: Is a directory"):
        tls_context(tmp_path, tmp_path)
