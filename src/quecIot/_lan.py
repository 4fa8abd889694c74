"""Discovery (UDP 6606), pairing and sessions (TCP 6607) on their own thread: sockets only.

`_pairing` decides who is answered, `_conversation` what. It touches nothing of the device but what `Host` gives it.
A socket that is bound to one address hears no broadcasts, so such a device listens to those of its network as well.
"""

from quecbind.wire import commands, lan
from quecIot import _pairing, _platform
from quecIot._conversation import Conversation, Host
from quecIot._networks import Networks, broadcast_of, is_within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from quecIot._networks import Network

    Say = Callable[[Conversation], bytes]

EVERYBODY = "255.255.255.255"
ANY_HOST = "0.0.0.0"  # noqa: S104 - a device is found from wherever it is; who is answered is decided per packet
_MAX_UNSENT = 64 * 1024  # a reader this slow is let go
_AFTER_ERROR_S = 1.0


class Settings:
    """From the environment; see docs/reference/quecIot.md.

    Raises:
        ValueError: a port is not a number, 0..65535.
    """

    def __init__(self, getenv: "Callable[[str], str]") -> None:
        self.is_on = getenv("QUECIOT_LAN") != "off"
        self.host = getenv("QUECIOT_LAN_HOST") or ANY_HOST
        self.udp_port = _port(getenv("QUECIOT_LAN_UDP_PORT"), lan.UDP_PORT)
        self.tcp_port = _port(getenv("QUECIOT_LAN_TCP_PORT"), lan.TCP_PORT)
        self.classic_udp_port = _port(getenv("QUECIOT_LAN_CLASSIC_PORT"), 0)
        self.answers_any = getenv("QUECIOT_LAN_ANY") == "1"


def _port(text: str, default: int) -> int:
    port = int(text or default)
    if not 0 <= port <= 65535:
        raise ValueError("a port must be 0..65535")
    return port


class _Connection:
    __slots__ = ("conversation", "socket", "stream", "unsent")

    def __init__(self, sock: "Any", conversation: Conversation) -> None:
        self.socket = sock
        self.stream = _platform.Stream(sock, tls=False)
        self.conversation = conversation
        self.unsent = b""


class LanServer:
    """
    Attributes:
        tcp_port: the port that it listens on, once `start` has returned.
    """

    def __init__(self, settings: Settings, host: Host, files: "_platform.Files") -> None:
        self.tcp_port = 0
        self._settings = settings
        self._host = host
        self._to_say: "list[Say]" = []
        self._saying = _platform.new_lock()  # the script's threads add to it, the own one takes it all
        self._networks = Networks(files)
        self._is_own: "Callable[[str], bool]" = (lambda peer: True) if settings.answers_any else self._networks.is_own
        self._connections: "list[_Connection]" = []
        self._around: "list[Network]" = []
        self._is_stopped = False

    def start(self) -> None:
        """Binds both ports and starts the thread.

        Raises:
            OSError: a port is taken.
        """
        settings = self._settings
        self._around = [] if settings.host == ANY_HOST else self._networks.around(settings.host)
        self._listener, self.tcp_port = _platform.tcp_listener(settings.host, settings.tcp_port)
        try:
            self._udp = _platform.udp_socket(settings.host, settings.udp_port)
        except OSError:
            self._listener.close()
            raise
        self._ears = [(sock, self._udp, commands.DISCOVER) for sock in self._broadcasts(settings.udp_port)]
        self._ears.append((self._udp, self._udp, commands.DISCOVER))
        for mouth in self._open([settings.host], settings.classic_udp_port) if settings.classic_udp_port else []:
            for sock in [mouth] + self._broadcasts(settings.classic_udp_port):
                self._ears.append((sock, mouth, commands.CLASSIC_DISCOVER))
        self._wake = _platform.Wake()
        self._discovery = _pairing.Discovery(self._is_own, _platform.monotonic())
        _platform.start_thread(self._run, "quecIot LAN")

    def _broadcasts(self, port: int) -> "list[Any]":
        """Sockets that hear what is sent to everybody; none where the device listens everywhere anyway."""
        if self._settings.host == ANY_HOST:
            return []
        return self._open([broadcast_of(network) for network in self._around] + [EVERYBODY], port)

    def _open(self, hosts: "list[str]", port: int) -> "list[Any]":
        sockets = []
        for host in hosts:
            try:
                sockets.append(_platform.udp_socket(host, port))
            except OSError as error:
                _platform.log(
                    _platform.INFO, "LAN: not listening on %s:%d: %s" % (host, port, _platform.describe(error))
                )
        return sockets

    def stop(self) -> None:
        self._is_stopped = True
        self._wake.set()

    def report(self, command: int, payload: bytes) -> None:
        """Tells every App that is logged in what the script reports. Returns at once, from any thread."""
        self._say(lambda conversation: conversation.session.report(command, payload))

    def answer_read(self, packet_id: int, payload: bytes) -> bool:
        """Tells the properties to whichever App has asked for them by that packet id; False when none has."""
        if not any([connection.conversation.session.has_asked(packet_id) for connection in self._connections]):
            return False
        self._say(lambda conversation: conversation.session.answer_read(packet_id, payload))
        return True

    def _say(self, say: "Say") -> None:
        if self._connections:
            with self._saying:
                self._to_say.append(say)
            self._wake.set()

    def _run(self) -> None:
        while not self._is_stopped:
            try:
                self._step()
            except Exception as error:  # noqa: BLE001 - what one peer sends must not end it for the others
                _platform.log_exception("LAN: unexpected", error)
                _platform.wait([self._wake.socket], [], _AFTER_ERROR_S)
        for connection in self._connections:
            connection.socket.close()
        for sock in [self._listener, self._wake] + [ear for ear, _, _ in self._ears]:
            sock.close()

    def _step(self) -> None:
        now = _platform.monotonic()
        seconds = None
        if self._connections:
            seconds = max(0.0, min([connection.conversation.next_timer() for connection in self._connections]) - now)
        readers = [self._listener, self._wake.socket] + [ear for ear, _, _ in self._ears]
        readers += [connection.socket for connection in self._connections]
        writers = [connection.socket for connection in self._connections if connection.unsent]
        _platform.wait(readers, writers, seconds)
        self._wake.clear()
        now = _platform.monotonic()
        for ear, mouth, question in self._ears:
            self._answer_datagrams(ear, mouth, question, now)
        self._accept(now)
        with self._saying:
            to_say, self._to_say = self._to_say, []
        for say in to_say:
            for connection in self._connections:
                connection.unsent += say(connection.conversation)
        self._connections = [connection for connection in self._connections if self._serve(connection, now)]

    def _answer_datagrams(self, ear: "Any", mouth: "Any", question: int, now: float) -> None:
        for _ in range(32):
            try:
                data, address = ear.recvfrom(_pairing.MAX_DATAGRAM + 1)
            except OSError:
                return
            source = _platform.source_of(address)
            # To everybody means everybody in the network of the device's address, whatever else this machine is in.
            if ear is not mouth and not self._settings.answers_any and not is_within(source[0], self._around):
                continue
            answer = self._discovery.answer(data, source, now, question, self._host.identity, self._place)
            if answer is None:
                continue
            try:
                mouth.sendto(answer, address)
            except OSError as error:
                _platform.log(_platform.INFO, "LAN: an answer could not be sent: %s" % _platform.describe(error))

    def _place(self, peer: str) -> "tuple[str, int]":
        """Where a peer at that address reaches this device."""
        own = self._settings.host
        return self._networks.address_towards(peer) if own == ANY_HOST else own, self.tcp_port

    def _accept(self, now: float) -> None:
        for _ in range(8):
            try:
                sock, address = self._listener.accept()
            except OSError:
                return
            source = _platform.source_of(address)[0]
            waiting = [one for one in self._connections if not one.conversation.session.is_open]
            strangers = [one.conversation.source for one in waiting]
            if not _pairing.may_connect(source, strangers, len(self._connections) - len(waiting), self._is_own):
                sock.close()
                continue
            if _pairing.has_to_give_way(strangers):
                waiting[0].conversation.session.end()
                waiting[0].socket.close()
                self._connections = [one for one in self._connections if one is not waiting[0]]
            conversation = Conversation(source, self._host, _platform.entropy, _platform.log, now)
            # Never changed in place: the script's threads go through it meanwhile.
            self._connections = self._connections + [_Connection(sock, conversation)]

    def _serve(self, connection: _Connection, now: float) -> bool:
        """Reads, answers, and whether the connection goes on."""
        try:
            data = connection.stream.read()
            answer = connection.conversation.receive_data(data, now) if data else b""
            due = connection.conversation.handle_timer(now)
            if answer:
                connection.unsent += answer
            if due:
                connection.unsent += due
            if connection.unsent:
                connection.unsent = connection.unsent[connection.stream.write(connection.unsent) :]
            goes_on = data != b"" and answer is not None and due is not None
            goes_on = goes_on and len(connection.unsent) <= _MAX_UNSENT
        except OSError:
            goes_on = False
        except Exception as error:  # noqa: BLE001 - what one peer sends must not end it for the others
            _platform.log_exception("LAN: unexpected", error)
            goes_on = False
        if not goes_on:
            connection.conversation.session.end()
            connection.socket.close()
        return goes_on
