"""`quecbind serve`: a Developer Center from its settings to its end, every part wired to the others here.

Start: TLS files, data directory, ports, then the ready line. SIGHUP reads the TLS files again. Stop, on SIGTERM or
SIGINT: no new connections, what was sent is answered, then presence and the writer finish and the directory is
unlocked. Decides nothing about devices.
"""

import asyncio
import contextlib
import dataclasses
import gc
import ipaddress
import json
import logging
import os
import resource
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping

import uvicorn

from quecbind.center.access.server import AccessLimits, AccessServer
from quecbind.center.access.tls_door import Handshakes, Places
from quecbind.center.domain.addresses import is_among
from quecbind.center.http import app
from quecbind.center.listening import BACKLOG, HttpServer, bind, bounded_http
from quecbind.center.mail.log import LogMailer
from quecbind.center.mail.smtp import SmtpMailer, SmtpSettings
from quecbind.center.metrics import registry_of
from quecbind.center.push.line import MAX_MESSAGE_SIZE, PushProtocol
from quecbind.center.push.line import routes as push_routes
from quecbind.center.services.center import Center
from quecbind.center.services.errors import StartError
from quecbind.center.services.ports import Mailer
from quecbind.center.services.push import Hub
from quecbind.center.settings import Settings
from quecbind.center.storage import faults
from quecbind.center.storage.opening import open_center
from quecbind.center.system import SystemClock, SystemEntropy
from quecbind.center.tls import Tls, TlsFiles

logger = logging.getLogger(__name__)

SERVE_FILE = "serve.json"
SPARE_FILES = 1024


async def serve(settings: Settings, announce: Callable[[str], None], *, master_key: str | None = None) -> None:
    """Run until SIGTERM or SIGINT, or SIGHUP where there is no certificate that it could ask to read again.

    Args:
        announce: takes the one line that says that it is ready, and where.
        master_key: Base64 of 32 bytes; None uses the file in the data directory.

    Raises:
        StartError: it cannot start; the sentence says why. Nothing is left behind.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    tls = _tls(settings)
    if tls:
        loop.add_signal_handler(signal.SIGHUP, _reload, tls)
    clock = SystemClock()
    center = await open_center(
        settings.data,
        clock=clock,
        entropy=SystemEntropy(),
        mailer=_mailer(settings),
        limits=settings.limits,
        history_limits=settings.history_limits,
        master_key=master_key,
    )
    try:
        with contextlib.ExitStack() as sockets:
            await _run(settings, center, tls, sockets, stopped, announce)
    finally:
        await center.close()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)


async def _run(
    settings: Settings,
    center: Center,
    tls: Mapping[str, Tls],
    sockets: contextlib.ExitStack,
    stopped: asyncio.Event,
    announce: Callable[[str], None],
) -> None:
    ports = {
        "http": settings.http_port,
        "mqtt": settings.mqtt_port,
        "https": settings.https_port,
        "mqtts": settings.mqtts_port,
    }
    listeners = {
        scheme: sockets.enter_context(bind(settings.host, port)) for scheme, port in ports.items() if port is not None
    }

    access = AccessServer(
        center.gate, center.uplink, center.presence, clock=center.clock, limits=_access_limits(settings)
    )
    center.attach(access)
    hub = Hub(
        center.storage,
        center.accounts,
        center.control,
        center.changes,
        clock=center.clock,
        limits=settings.push_limits,
    )
    center.gate.requires_certificates = (
        settings.mqtts_client_ca is not None and settings.mqtts_client_cert == "required"
    )
    https = (listeners["https"], tls["https"].context) if "https" in listeners else None
    http = _http_server(settings, center, access, hub, https)
    center.addresses = addresses = _addresses(settings, listeners)
    try:
        if "mqtt" in listeners:
            await access.listen(listeners["mqtt"])
        if "mqtts" in listeners:
            await access.listen(listeners["mqtts"], tls["mqtts"].context)
        center.sharing.start()
        center.control.start()
        center.reports.start()
        # What was loaded lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        told = contextlib.ExitStack()
        told.enter_context(_serve_file(settings, addresses, center.operators.local_key().reveal()))
        async with asyncio.TaskGroup() as tasks:
            with told:
                serving = tasks.create_task(http.serve([listeners["http"]] if "http" in listeners else []), name="http")
                announce(_ready_line(settings, addresses))
                ending = tasks.create_task(stopped.wait(), name="stop signal")
                await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
                stopped.set()
            http.should_exit = True
            await access.stop(settings.stop_time_s)
    finally:
        await access.stop(0)


def _tls(settings: Settings) -> dict[str, Tls]:
    """By scheme, what the TLS listeners serve with."""
    if settings.tls_cert is None or settings.tls_key is None:
        return {}
    files = TlsFiles(settings.tls_cert, settings.tls_key)
    found = {}
    if settings.https_port is not None:
        found["https"] = Tls(files)
    if settings.mqtts_port is not None:
        is_required = settings.mqtts_client_cert == "required"
        found["mqtts"] = Tls(
            dataclasses.replace(files, client_ca=settings.mqtts_client_ca, is_client_required=is_required)
        )
    return found


def _reload(tls: Mapping[str, Tls]) -> None:
    """On SIGHUP: take the certificates that are in the files now. Connections that stand are not touched."""
    for scheme, one in tls.items():
        try:
            one.reload()
        except StartError as error:
            logger.error("tls.not_reloaded listener=%s, the earlier one stays: %s", scheme, error)  # noqa: TRY400
        else:
            logger.info("tls.reloaded listener=%s certificate=%s expires=%s", scheme, *one.certificate)


def _addresses(settings: Settings, listeners: Mapping[str, socket.socket]) -> dict[str, str]:
    host = _reachable(settings.host)
    found = {scheme: f"{scheme}://{host}:{listener.getsockname()[1]}" for scheme, listener in listeners.items()}
    if settings.lan_host is not None:
        found["lan"] = settings.lan_host
    return found


def _reachable(host: str) -> str:
    """`host` as it is written in a URL; the wildcard address, which nobody can connect to, as this machine's own."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"[{address}]" if address.version == 6 else str(address)


def _ready_line(settings: Settings, addresses: Mapping[str, str]) -> str:
    facts = {**addresses, "data": str(settings.data)}
    return "quecbind ready " + " ".join(f"{name}={value}" for name, value in facts.items())


@contextlib.contextmanager
def _serve_file(settings: Settings, addresses: Mapping[str, str], local_key: str) -> Iterator[None]:
    """Says, to this user's own processes, where this server is and with which key it can be administered.

    Raises:
        StartError: the file cannot be written.
    """
    path = settings.data / SERVE_FILE
    new = path.with_name(path.name + ".new")
    facts: dict[str, object] = {"pid": os.getpid(), **addresses, "local_key": local_key}
    if settings.tls_cert is not None:
        facts["tls_cert"] = str(settings.tls_cert.absolute())
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        new.unlink(missing_ok=True)
        with open(os.open(new, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(json.dumps(facts))
        faults.reach(faults.SERVE_FILE_WRITTEN)
        new.replace(path)
    except OSError as error:
        raise StartError(f"{path} cannot be written: {error.strerror}") from error
    faults.reach(faults.SERVE_FILE_NAMED)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _http_server(
    settings: Settings,
    center: Center,
    access: AccessServer,
    hub: Hub,
    https: tuple[socket.socket, ssl.SSLContext] | None,
) -> HttpServer:
    places = Places(
        settings.max_http_connections_per_address,
        settings.max_http_connections,
        is_of_many=lambda peer: is_among(peer, settings.trusted_proxy),
    )
    return HttpServer(
        uvicorn.Config(
            app.build(
                center,
                registry_of(center, access, hub, places),
                more_routes=push_routes(hub),
                trusted_proxies=settings.trusted_proxy,
            ),
            http=bounded_http(settings.max_http_header_size, settings.http_idle_time_s, places),
            ws=PushProtocol,
            ws_max_size=MAX_MESSAGE_SIZE,
            # Apps send the heartbeat; compression would cost memory for every connection.
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            # Its warnings are about what somebody sent, a line for each: the log is no stranger's to fill.
            log_level="error",
            access_log=False,
            server_header=False,
            # Limits go by address: `trusted_proxy` decides who may name another, uvicorn believes too many.
            proxy_headers=False,
            backlog=BACKLOG,
            # uvicorn counts both kinds of connections together; those of push have a limit of their own.
            limit_concurrency=settings.max_http_connections + settings.max_push_connections,
            timeout_keep_alive=settings.http_idle_time_s,
            timeout_graceful_shutdown=settings.stop_time_s,
        ),
        https,
        Handshakes(
            min(settings.max_pending_per_address, settings.max_http_connections_per_address),
            settings.max_http_connections,
        ),
    )


def _access_limits(settings: Settings) -> AccessLimits:
    chosen = {field.name: getattr(settings, field.name) for field in dataclasses.fields(AccessLimits)}
    return AccessLimits(**{**chosen, "max_connections": _connections_possible(settings)})


def _mailer(settings: Settings) -> Mailer:
    if settings.smtp_host is None or settings.smtp_from is None:
        return LogMailer()
    return SmtpMailer(
        SmtpSettings(
            host=settings.smtp_host,
            port=settings.smtp_port,
            sender=settings.smtp_from,
            user=settings.smtp_user,
            password=settings.smtp_password,
            encryption=settings.smtp_tls,
        )
    )


def _connections_possible(settings: Settings) -> int:
    """How many devices this process can hold at once, after raising its limit of open files as far as it may."""
    spare = settings.max_http_connections + settings.max_push_connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.max_connections + spare
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    possible = max(min(settings.max_connections, allowed - spare), 1)
    if possible < settings.max_connections:
        # Better to refuse a connection than to have no file left for the database.
        logger.info(
            "serve.few_files max_connections=%d hard_limit=%d: for all %d raise the limit of open files to %d",
            *(possible, hard, settings.max_connections, wanted),
        )
    return possible


__all__ = ("SERVE_FILE", "StartError", "serve")
