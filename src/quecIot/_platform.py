"""The one file that knows the interpreter: CPython 3.11+ or MicroPython (no GIL, threading, logging, chmod or fsync).

Threads, locks, the log, time, entropy, files, polling, non-blocking TCP with TLS, UDP. It decides nothing.
"""

import errno
import os
import select
import socket
import ssl
import sys
import time

from quecbind.wire import lan, sealed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

IS_MICROPYTHON = sys.implementation.name == "micropython"

MAX_SESSION_FRAME = 4096 if IS_MICROPYTHON else lan.MAX_FRAME  # 32 sessions may hold one each

INFO = "info"
WARNING = "warning"
ERROR = "error"

_AGAIN = (errno.EAGAIN, errno.EINPROGRESS)
_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")

try:
    import spake2 as _spake2  # type: ignore[import-untyped]
except ImportError:
    _spake2 = None  # sealed pairing is off

if IS_MICROPYTHON:
    import _thread

    new_lock: "Callable[[], Any]" = _thread.allocate_lock

    def start_thread(function: "Callable[[], None]", name: str) -> None:
        _thread.start_new_thread(function, ())

    def log(level: str, text: str) -> None:
        """One line on stderr; informative ones are left out, as on CPython without configuration."""
        if level != INFO:
            sys.stderr.write("quecIot %s: %s\n" % (level, text))

    _ticks_lock = new_lock()
    _ticks = [time.ticks_ms(), 0]  # type: ignore[attr-defined]

    def monotonic() -> float:
        """Seconds that never go back. Must be called every few days: the counter below wraps."""
        with _ticks_lock:
            now = time.ticks_ms()  # type: ignore[attr-defined]
            _ticks[1] += time.ticks_diff(now, _ticks[0])  # type: ignore[attr-defined]
            _ticks[0] = now
            return float(_ticks[1]) / 1000

    def getenv(name: str) -> str:
        return os.getenv(name) or ""

else:
    import logging
    import threading

    new_lock = threading.Lock
    _logger = logging.getLogger("quecIot")
    _LEVELS = {INFO: logging.INFO, WARNING: logging.WARNING, ERROR: logging.ERROR}

    def start_thread(function: "Callable[[], None]", name: str) -> None:
        threading.Thread(target=function, name=name, daemon=True).start()

    def log(level: str, text: str) -> None:
        _logger.log(_LEVELS[level], "%s", text)

    monotonic = time.monotonic

    def getenv(name: str) -> str:
        return os.environ.get(name, "")


def entropy(count: int) -> bytes:
    """Bytes of the system's secure random."""
    return os.urandom(count)


def can_agree() -> bool:
    """Whether this interpreter has the library for sealed pairing: CPython with `pip install quecbind[sealed]`."""
    return _spake2 is not None


def agree(pin: str, identity: bytes, element: bytes) -> "tuple[bytes, bytes] | None":
    """SPAKE2 with an App's element: the own element and the common key; None when it is no element."""
    side = _spake2.SPAKE2_B(pin.encode(), idA=sealed.APP_IDENTITY, idB=identity, entropy_f=entropy)
    own = side.start()
    try:
        return own, side.finish(element)
    except Exception:  # noqa: BLE001 - what the library raises at bytes that are no element has no common base
        return None


def describe(error: BaseException) -> str:
    """An exception in one line: its kind and what it says."""
    return "%s: %s" % (type(error).__name__, error)


def log_exception(text: str, error: BaseException) -> None:
    """An error of somebody else's code, with its traceback."""
    if IS_MICROPYTHON:
        log(ERROR, text)
        sys.print_exception(error, sys.stderr)  # type: ignore[attr-defined]
    else:
        _logger.error("%s", text, exc_info=error)


class Files:
    """The file operations that a store is built of, each one step that a power cut can come before or after."""

    def read(self, path: str) -> "bytes | None":
        """The content, None when there is no such file."""
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise

    def make_directory(self, path: str) -> None:
        """With its parents, readable by its owner only; nothing when it is there."""
        parts = path.rstrip("/").split("/")
        for index in range(1, len(parts) + 1):
            parent = "/".join(parts[:index])
            if not parent:
                continue
            try:
                os.mkdir(parent)
            except OSError as error:
                if error.errno == errno.EEXIST or index < len(parts):
                    continue
                raise
            if index == len(parts):
                self._chmod(parent, "700")

    def create(self, path: str) -> None:
        """An empty file that nobody else may read, before anything secret is in it."""
        if not hasattr(os, "open"):
            with open(path, "wb"):
                pass
            self._chmod(path, "600")
            return
        try:
            os.remove(path)
        except OSError:
            pass
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))

    def _chmod(self, path: str, mode: str) -> None:
        if hasattr(os, "chmod"):
            os.chmod(path, int(mode, 8))
        elif hasattr(os, "system"):  # MicroPython on Unix; boards have no users to hide from
            os.system("chmod %s '%s'" % (mode, path.replace("'", "'\\''")))  # noqa: S605

    def write(self, path: str, data: bytes) -> None:
        """Into an existing file, and through to the disk."""
        with open(path, "wb") as file:
            file.write(data)
            file.flush()  # on MicroPython this is an fsync
            if hasattr(os, "fsync"):
                os.fsync(file.fileno())

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new)

    def sync_directory(self, path: str) -> None:
        """Makes a rename last; nothing where a directory cannot be opened."""
        try:
            if hasattr(os, "fsync"):
                handle = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
            else:
                with open(path) as directory:
                    directory.flush()
        except OSError:
            pass


class Wake:
    """Lets one thread end another's wait: `set` from anywhere, `clear` by the one that waits on `socket`."""

    def __init__(self) -> None:
        if hasattr(socket, "socketpair"):
            self.socket, self._other = socket.socketpair()
            self._address: "Any" = None
        else:
            self.socket, self._address = _loopback_socket()
            self._other = self.socket
        self.socket.setblocking(False)
        self._other.setblocking(False)

    def set(self) -> None:
        try:
            if self._address is None:
                self._other.send(b"x")
            else:
                self._other.sendto(b"x", self._address)
        except OSError:
            pass  # full: it wakes anyway

    def clear(self) -> None:
        try:
            while self.socket.recv(64):
                pass
        except OSError:
            pass

    def close(self) -> None:
        self.socket.close()
        if self._other is not self.socket:
            self._other.close()


def _loopback_socket() -> "tuple[Any, Any]":
    """A datagram socket that can send to itself, for want of socketpair and getsockname."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while True:
        address = socket.getaddrinfo("127.0.0.1", _random_port())[0][-1]
        try:
            sock.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        return sock, address


def _random_port() -> int:
    two = os.urandom(2)
    return 49152 + (two[0] << 8 | two[1]) % 16384


def wait(readers: "list[Any]", writers: "list[Any]", seconds: "float | None") -> None:
    """Returns when one of the sockets may have something to read or room to write, or the time is over."""
    poll = select.poll()
    for sock in readers:
        poll.register(sock, select.POLLIN | (select.POLLOUT if sock in writers else 0))
    # a minute at most, so that `monotonic` sees its counter often enough
    poll.poll(60000 if seconds is None else int(min(max(seconds, 0), 60) * 1000) + 1)


class Stream:
    """A connected TCP socket, with or without TLS, that never blocks."""

    def __init__(self, sock: "Any", tls: bool) -> None:
        self.socket = sock
        self._tls = tls
        sock.setblocking(False)

    def read(self) -> "bytes | None":
        """What has arrived; None when nothing has, b"" when the peer has closed.

        Raises:
            OSError: the connection broke.
        """
        try:
            if IS_MICROPYTHON:
                data = self.socket.read(16384)
                return None if data is None else bytes(data)
            return bytes(self.socket.recv(16384))
        except OSError as error:
            if error.errno in _AGAIN or _wants_more(error):
                return None
            raise

    def write(self, data: bytes) -> int:
        """How many of the bytes were taken.

        Raises:
            OSError: the connection broke.
        """
        try:
            if IS_MICROPYTHON:
                return self.socket.write(data) or 0
            return int(self.socket.send(data))
        except OSError as error:
            if error.errno in _AGAIN or _wants_more(error):
                return 0
            raise

    def close(self) -> None:
        self.socket.close()


def _wants_more(error: OSError) -> bool:
    if IS_MICROPYTHON:
        return False
    return isinstance(error, (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError))


def connect(host: str, port: int, tls: bool, ca_file: str, verify: bool, seconds: float) -> Stream:
    """A connection to a server; blocks for `seconds` at most per address and per handshake step.

    Raises:
        OSError: nobody there, or TLS refused (ValueError too, on MicroPython).
    """
    last: "OSError | None" = None
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(seconds)
            sock.connect(address)
            _set_no_delay(sock)
            if tls:
                sock = _tls_context(ca_file, verify).wrap_socket(sock, server_hostname=host)
            return Stream(sock, tls)
        except OSError as error:
            sock.close()
            last = error
        except Exception:
            sock.close()
            raise
    raise last or OSError(errno.EHOSTUNREACH, "no address")


def _set_no_delay(sock: "Any") -> None:
    try:
        sock.setsockopt(getattr(socket, "IPPROTO_TCP", 6), getattr(socket, "TCP_NODELAY", 1), 1)
    except (OSError, NotImplementedError):
        pass


def _tls_context(ca_file: str, verify: bool) -> "ssl.SSLContext":
    if not IS_MICROPYTHON:
        context = ssl.create_default_context(cafile=ca_file or None)
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        context.verify_mode = ssl.CERT_NONE
        return context
    context.verify_mode = ssl.CERT_REQUIRED
    for certificate in _certificates(ca_file):
        try:
            context.load_verify_locations(cadata=certificate)
        except (OSError, ValueError):
            pass  # one of a system's bundle that mbedTLS cannot read
    return context


def _certificates(ca_file: str) -> "list[bytes]":
    """DER certificates of a PEM or DER file: MicroPython's TLS reads DER only."""
    import binascii

    for path in (ca_file,) if ca_file else _CA_BUNDLES:
        data = Files().read(path)
        if data is None:
            continue
        if b"-----BEGIN CERTIFICATE-----" not in data:
            return [data]
        parts = data.split(b"-----BEGIN CERTIFICATE-----")[1:]
        return [binascii.a2b_base64(part.split(b"-----END")[0]) for part in parts]
    raise OSError(errno.ENOENT, "no file of CA certificates; set QUECIOT_CA_FILE")


def udp_socket(host: str, port: int) -> "Any":
    """A bound datagram socket that never blocks; Apps on the same machine may share the port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(socket.getaddrinfo(host, port)[0][-1])
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def tcp_listener(host: str, port: int) -> "tuple[Any, int]":
    """A listening socket that never blocks, and its port; port 0 takes any."""
    for _ in range(32):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # where a socket cannot say which port it got, one is chosen for it
        chosen = port if port or hasattr(sock, "getsockname") else _random_port()
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(socket.getaddrinfo(host, chosen)[0][-1])
            sock.listen(32)
            sock.setblocking(False)
        except OSError as error:
            sock.close()
            if port or error.errno != errno.EADDRINUSE:
                raise
            continue
        return sock, chosen or sock.getsockname()[1]
    raise OSError(errno.EADDRINUSE, "no free port")


def source_of(address: "Any") -> "tuple[str, int]":
    """Dotted IPv4 address and port of what `accept` or `recvfrom` gave."""
    if isinstance(address, tuple):
        return address[0], address[1]
    _, raw, port = socket.sockaddr(address)  # type: ignore[attr-defined]
    return ".".join([str(byte) for byte in raw]), port


def address_towards(peer: str) -> "str | None":
    """This machine's address on the way to the peer, None where the interpreter cannot tell."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        if not hasattr(sock, "getsockname"):
            return None
        sock.connect((peer, 9))
        return str(sock.getsockname()[0])
    except OSError:
        return None
    finally:
        sock.close()
