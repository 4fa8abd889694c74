"""TLS on real sockets: what is served, new certificates, certificates of devices, handshakes that do not end."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from quecbind.center.domain.connection import Complaint, check_certificate
from quecbind.center.services.errors import StartError
from quecbind.center.tls import Tls, TlsFiles, tls_context
from quecbind.wire import frame, mqtt, ttlv
from tests.center.access.conftest import Device, Site
from tests.center.certificate import Authority, write_authority, write_certificate
from tests.center.services.world import World

pytestmark = pytest.mark.enable_socket


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    world = await World.open(tmp_path / "data")
    made = Site(world)
    made.product = await world.product()
    yield made
    await made.stop()
    await world.center.close()


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    directory = tmp_path / "tls"
    directory.mkdir()
    return TlsFiles(*write_certificate(directory))


def renew(files: TlsFiles) -> None:
    """Put another certificate and its key into the same files."""
    other = files.certificate.parent / "other"
    other.mkdir()
    certificate, key = write_certificate(other)
    shutil.copy(certificate, files.certificate)
    shutil.copy(key, files.key)


def trusting(*certificates: Path) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for certificate in certificates:
        context.load_verify_locations(cafile=certificate)
    return context


# --- files


def test_an_encrypted_key_is_refused_because_nobody_can_type_its_password(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path, password=b"secret")

    with pytest.raises(StartError, match="the key is encrypted"):
        tls_context(TlsFiles(certificate, key))


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    certificate, _ = write_certificate(tmp_path / "a")
    _, other_key = write_certificate(tmp_path / "b")

    with pytest.raises(StartError, match="are no certificate and its key"):
        tls_context(TlsFiles(certificate, other_key))


def test_a_directory_is_no_tls_file(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot be read: Is a directory"):
        tls_context(TlsFiles(tmp_path, tmp_path))


def test_a_file_without_authorities_is_refused(files: TlsFiles) -> None:
    with pytest.raises(StartError, match="holds no certificates"):
        tls_context(TlsFiles(files.certificate, files.key, files.key))


def test_what_is_offered_is_sensible(files: TlsFiles) -> None:
    context = tls_context(files)

    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION
    names = [cipher["name"] for cipher in context.get_ciphers()]
    assert all(name.startswith(("ECDHE-", "TLS_")) for name in names)
    assert not any(word in name for name in names for word in ("CBC", "RC4", "3DES", "NULL", "MD5", "SHA1"))


async def test_a_client_without_forward_secrecy_is_refused(site: Site, files: TlsFiles) -> None:
    await site.start(tls=tls_context(files))
    client = trusting(files.certificate)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("AES128-SHA")

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await site.open(tls=client)

    await site.until(lambda: site.access.handshakes.failed_count == 1)
    assert site.access.handshakes.count == 0


# --- exchange


async def test_new_connections_get_the_new_certificate_and_old_ones_stay(site: Site, files: TlsFiles) -> None:
    tls = Tls(files)
    await site.start(tls=tls.context)
    secret = await site.enrolled()
    old = trusting(files.certificate)
    device = await site.online(secret, tls=old)

    renew(files)
    tls.reload()

    assert await (
        await site.online(await site.enrolled("D2"), "D2", tls=trusting(files.certificate))
    ).packet_after_ping()
    assert await device.packet_after_ping()
    with pytest.raises(ssl.SSLCertVerificationError):
        await site.open(tls=old)


async def test_a_client_that_names_no_server_gets_the_new_certificate_too(site: Site, files: TlsFiles) -> None:
    tls = Tls(files)
    await site.start(tls=tls.context)
    renew(files)
    tls.reload()

    def served() -> bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with socket.create_connection(site.address, timeout=10) as plain, context.wrap_socket(plain) as client:
            return client.getpeercert(binary_form=True) or b""

    assert await asyncio.to_thread(served) == ssl.PEM_cert_to_DER_cert(files.certificate.read_text())


@pytest.mark.parametrize("how", ["missing", "cut", "of another key"])
async def test_files_that_cannot_be_used_leave_the_earlier_certificate(site: Site, files: TlsFiles, how: str) -> None:
    tls = Tls(files)
    await site.start(tls=tls.context)
    client = trusting(files.certificate)
    text = files.certificate.read_text()
    if how == "missing":
        files.certificate.unlink()
    elif how == "cut":
        files.certificate.write_text(text[: len(text) // 2])
    else:
        renew(files)
        files.certificate.write_text(text)

    with pytest.raises(StartError):
        tls.reload()

    assert await (await site.online(await site.enrolled(), tls=client)).packet_after_ping()


def test_a_certificate_that_is_gone_after_it_was_taken_is_described_all_the_same(files: TlsFiles) -> None:
    tls = Tls(files)
    shown = tls.certificate
    files.certificate.unlink()

    assert shown[1] != "unknown"
    assert tls.certificate == (files.certificate, "unknown")


# --- certificates of devices


@pytest.mark.parametrize(
    ("names", "is_required", "is_refused"),
    [
        (None, False, False),
        (None, True, True),
        (("qdP1D1",), True, False),
        (("x.example", "qdP1D1"), False, False),
        (("qdP1D2",), False, True),
        (("qdp1d1",), False, True),
        (("qdP1D1x",), False, True),
        ((), False, True),
    ],
)
def test_a_certificate_is_good_for_the_client_id_it_names(
    names: tuple[str, ...] | None, is_required: bool, is_refused: bool
) -> None:
    refused = check_certificate("qdP1D1", names, is_required=is_required)

    assert refused == (Complaint(10431) if is_refused else None)


def client(files: TlsFiles, certificate: Path | None) -> ssl.SSLContext:
    context = trusting(files.certificate)
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


async def with_client_ca(
    site: Site, files: TlsFiles, tmp_path: Path, *, is_required: bool
) -> tuple[Authority, TlsFiles, Tls, str]:
    """The listener asks devices for certificates; D1 has enrolled before."""
    authority = write_authority(tmp_path)
    asking = TlsFiles(files.certificate, files.key, authority.file, is_required)
    tls = Tls(asking)
    secret = await site.enrolled()
    site.world.center.gate.requires_certificates = is_required
    await site.start(tls=tls.context)
    return authority, asking, tls, secret


async def answers(site: Site, device: Device, secret: str, device_key: str = "D1") -> list[Any]:
    """What a log-in gets: the CONNACK's code, and the exception's code behind it."""
    device.send(site.connect(secret, device_key))
    connack = await device.packet()
    assert isinstance(connack, mqtt.Connack)
    device.send(mqtt.Pingreq())
    packet = await device.packet()
    if isinstance(packet, mqtt.Pingresp):
        return [connack.return_code]
    return [connack.return_code, *(value for _, value in ttlv.decode(frame.decode(packet.payload).payload))]


async def test_a_certificate_of_another_device_is_no_second_factor(site: Site, files: TlsFiles, tmp_path: Path) -> None:
    authority, _, _, secret = await with_client_ca(site, files, tmp_path, is_required=True)
    own = authority.sign(tmp_path, site.client_id("D1"))
    by_dns_name = authority.sign(tmp_path, "lamp", site.client_id("D1"))
    foreign = authority.sign(tmp_path, site.client_id("D2"))

    got = [
        await answers(site, await site.open(tls=client(files, file)), secret) for file in (own, by_dns_name, foreign)
    ]

    assert got == [[0], [0], [0, 10431]]
    assert site.world.center.registry.entry(site.client_id("D1")).device_secret == secret  # type: ignore[union-attr]


async def test_the_right_certificate_with_a_wrong_secret_is_refused(
    site: Site, files: TlsFiles, tmp_path: Path
) -> None:
    authority, _, _, _ = await with_client_ca(site, files, tmp_path, is_required=True)
    device = await site.open(tls=client(files, authority.sign(tmp_path, site.client_id("D1"))))

    device.send(site.connect("x" * 32))

    assert await device.packet() == mqtt.Connack(5, False)


async def test_a_required_certificate_is_required_for_the_handshake_and_on_plain_tcp(
    site: Site, files: TlsFiles, tmp_path: Path
) -> None:
    *_, secret = await with_client_ca(site, files, tmp_path, is_required=True)
    handshakes = site.access.handshakes

    device = await site.open(tls=client(files, None))
    assert await device.is_closed()
    await site.until(lambda: handshakes.failed_count == 1)

    await site.start()
    assert await answers(site, await site.open(), secret) == [0, 10431]


async def test_an_optional_certificate_may_be_missing_but_not_wrong(
    site: Site, files: TlsFiles, tmp_path: Path
) -> None:
    authority, _, _, secret = await with_client_ca(site, files, tmp_path, is_required=False)
    foreign = authority.sign(tmp_path, site.client_id("D2"))

    assert await answers(site, await site.open(tls=client(files, None)), secret) == [0]
    assert await answers(site, await site.open(tls=client(files, foreign)), secret) == [0, 10431]


async def test_a_certificate_of_a_strange_authority_ends_the_handshake(
    site: Site, files: TlsFiles, tmp_path: Path
) -> None:
    await with_client_ca(site, files, tmp_path, is_required=False)
    stranger = write_authority(tmp_path, "stranger")

    device = await site.open(tls=client(files, stranger.sign(tmp_path, site.client_id("D1"))))

    assert await device.is_closed()
    assert site.access.connection_count == 0


async def test_a_certificate_whose_names_are_no_text_ends_its_handshake_and_no_other(
    site: Site, files: TlsFiles, tmp_path: Path
) -> None:
    authority, _, _, secret = await with_client_ca(site, files, tmp_path, is_required=True)
    not_utf8 = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x04\x82\x02\xff\xfe")
    odd = authority.sign(tmp_path, "odd", names=not_utf8)

    assert await (await site.open(tls=client(files, odd))).is_closed()

    await site.until(lambda: site.access.handshakes.failed_count == 1)
    own = authority.sign(tmp_path, site.client_id("D1"))
    assert await answers(site, await site.open(tls=client(files, own)), secret) == [0]


async def test_an_authority_that_was_exchanged_is_no_longer_trusted(
    site: Site, files: TlsFiles, tmp_path: Path
) -> None:
    authority, asking, tls, secret = await with_client_ca(site, files, tmp_path, is_required=True)
    context = client(files, authority.sign(tmp_path, site.client_id("D1")))
    assert await answers(site, await site.open(tls=context), secret) == [0]

    assert asking.client_ca is not None
    shutil.copy(write_authority(tmp_path, "successor").file, asking.client_ca)
    tls.reload()

    # The same context: it would resume the earlier session if it could.
    assert await (await site.open(tls=context)).is_closed()


# --- handshakes


async def silent(site: Site) -> socket.socket:
    """A connection that never begins its handshake."""
    opened = socket.socket()
    opened.setblocking(False)
    await asyncio.get_running_loop().sock_connect(opened, site.address)
    return opened


async def test_handshakes_of_one_address_are_limited_from_accept_on(site: Site, files: TlsFiles) -> None:
    await site.start(tls=tls_context(files), max_pending_per_address=3)
    opened = [await silent(site) for _ in range(4)]
    try:
        await site.until(lambda: site.access.handshakes.refused_count == 1)
        assert site.access.handshakes.count == 3
        assert site.access.connection_count == 0
        assert await asyncio.get_running_loop().sock_recv(opened[3], 1) == b""

        opened.pop(0).close()
        await site.until(lambda: site.access.handshakes.count == 2)
        assert await (await site.online(await site.enrolled(), tls=trusting(files.certificate))).packet_after_ping()
    finally:
        for one in opened:
            one.close()


async def test_stopping_drops_handshakes_under_way(site: Site, files: TlsFiles) -> None:
    access = await site.start(tls=tls_context(files))
    opened = await silent(site)
    await site.until(lambda: access.handshakes.count == 1)

    await access.stop(1)

    assert access.handshakes.count == 0
    assert await asyncio.get_running_loop().sock_recv(opened, 1) == b""
    opened.close()
