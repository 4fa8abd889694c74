"""Everything an operator can choose about a Developer Center, as one frozen value.

Each field is a flag of `quecbind serve` and an environment variable (`--mqtt-port`, `QUECBIND_MQTT_PORT`);
the flag wins. Reads neither the command line nor the environment by itself: both are handed in.
"""

import argparse
import dataclasses
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

from quecbind.center.domain.addresses import Network
from quecbind.center.domain.limits import HistoryLimits, Limits, PushLimits

MailEncryption = Literal["starttls", "tls", "none"]
ClientCertificate = Literal["required", "optional"]
LogLevel = Literal["debug", "info", "warning", "error"]

_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?(\.[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?)*"
)


class SettingsError(ValueError):
    """A setting cannot be used; the sentence names the flag and says what would be accepted."""


def _text(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("must not be empty or hold a NUL")
    return text


def _path(text: str) -> Path:
    return Path(_text(text)).expanduser()


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return _host_name(text)


def _host_name(text: str) -> str:
    if not _HOST_NAME.fullmatch(text):
        raise ValueError("must be a host name or an IP address")
    return text


def _whole(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not lowest <= int(text) <= highest:
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        return int(text)

    return parse


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(","))
    except ValueError:
        raise ValueError("must be addresses or networks such as 10.0.0.0/8, separated by commas") from None


def _one_of(*choices: str) -> Callable[[str], Any]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError("must be one of " + ", ".join(choices))
        return text

    return parse


# Port 0 lets the system choose; the ready line then says which it was.
_port = _whole(0, 65535)


def _port_or_none(text: str) -> int | None:
    return None if text == "none" else _port(text)


class _Option(NamedTuple):
    """How a setting is read from text, and what it is for."""

    parse: Callable[[str], object]
    meaning: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `quecbind serve` runs with. Sizes are bytes, spans seconds; every limit has a safe default."""

    data: Annotated[Path, _Option(_path, "directory that holds all state")] = Path("data")
    host: Annotated[str, _Option(_address, "address to listen on; 0.0.0.0 for every IPv4 address of this machine")] = (
        "127.0.0.1"
    )
    http_port: Annotated[
        int | None,
        _Option(_port_or_none, "port of the App and operator API; 0 lets the system choose, none leaves it closed"),
    ] = 8080
    mqtt_port: Annotated[
        int | None, _Option(_port_or_none, "port for devices; 0 lets the system choose, none leaves it closed")
    ] = 1883
    https_port: Annotated[
        int | None, _Option(_port, "port of the same API over TLS; needs --tls-cert and --tls-key")
    ] = None
    mqtts_port: Annotated[int | None, _Option(_port, "port for devices over TLS; needs --tls-cert and --tls-key")] = (
        None
    )
    tls_cert: Annotated[Path | None, _Option(_path, "PEM file with the certificate chain of the TLS listeners")] = None
    tls_key: Annotated[Path | None, _Option(_path, "PEM file with its private key")] = None
    mqtts_client_ca: Annotated[
        Path | None, _Option(_path, "PEM file with the authorities that sign certificates of devices; asks for them")
    ] = None
    mqtts_client_cert: Annotated[
        ClientCertificate,
        _Option(
            _one_of("required", "optional"),
            "with --mqtts-client-ca: whether a device must show one, on every port; one that is shown must name its "
            "client id",
        ),
    ] = "required"
    lan_host: Annotated[
        str | None, _Option(_address, "host name or address under which devices and Apps on the LAN reach this server")
    ] = None

    trusted_proxy: Annotated[
        tuple[Network, ...],
        _Option(
            _networks,
            "networks, by comma, of HTTP proxies that may name the client's address in X-Forwarded-For or Forwarded; "
            "without any, these headers are ignored",
        ),
    ] = ()

    smtp_host: Annotated[str | None, _Option(_address, "mail server; without one, mail codes go to the log")] = None
    smtp_port: Annotated[int, _Option(_whole(1, 65535), "port of the mail server")] = 587
    smtp_user: Annotated[str | None, _Option(_text, "user name at the mail server")] = None
    smtp_password: Annotated[str | None, _Option(_text, "its password; others see a flag, so prefer the variable")] = (
        dataclasses.field(default=None, repr=False)
    )
    smtp_from: Annotated[str | None, _Option(_text, "sender of mail codes")] = None
    smtp_tls: Annotated[
        MailEncryption,
        _Option(_one_of("starttls", "tls", "none"), "encryption of the link to the mail server: starttls, tls or none"),
    ] = "starttls"

    max_connections: Annotated[int, _Option(_whole(1, 10_000_000), "device connections at one time")] = 120_000
    max_connections_per_address: Annotated[
        int, _Option(_whole(1, 10_000_000), "device connections at one time from one address; a fleet may share one")
    ] = 20_000
    max_pending_per_address: Annotated[
        int, _Option(_whole(1, 10_000_000), "of these, connections that have not logged in yet")
    ] = 1_000
    log_in_time_s: Annotated[int, _Option(_whole(1, 300), "time a new device connection has to log in")] = 10
    max_keep_alive_s: Annotated[int, _Option(_whole(30, 65_535), "keep-alive of a device that asks for none")] = 1_800
    max_packet_size: Annotated[
        int,
        _Option(_whole(2_048, 1_048_576), "largest MQTT packet of a device that has logged in; before that it is 2048"),
    ] = 65_600
    max_unanswered: Annotated[
        int, _Option(_whole(1, 10_000), "messages of one device under way to storage before it is no longer read from")
    ] = 64
    write_buffer_size: Annotated[
        int, _Option(_whole(4_096, 16_777_216), "bytes waiting for a device that does not read before it is dropped")
    ] = 65_536
    guess_window_s: Annotated[int, _Option(_whole(1, 86_400), "span in which wrong bind codes are counted")] = 600
    max_guesses_per_user: Annotated[int, _Option(_whole(1, 1_000_000), "wrong bind codes of one user in that span")] = (
        10
    )
    max_guesses_per_address: Annotated[int, _Option(_whole(1, 1_000_000), "... from one address")] = 50
    max_guesses_per_device: Annotated[
        int, _Option(_whole(1, 1_000_000), "... against one device, by strangers together")
    ] = 100
    max_guesses_per_product: Annotated[
        int, _Option(_whole(1, 10_000_000), "... against one product, by strangers together")
    ] = 1_000
    max_pending_shares: Annotated[
        int, _Option(_whole(1, 10_000), "invitations of one owner to one device that nobody has accepted yet")
    ] = 20
    max_pending_shares_per_owner: Annotated[int, _Option(_whole(1, 1_000_000), "... to all their devices")] = 200
    max_shares_per_member: Annotated[
        int, _Option(_whole(1, 10_000), "shares of one device that one user may hold at a time")
    ] = 10
    max_shares_per_device: Annotated[int, _Option(_whole(1, 1_000_000), "... that all users together may hold")] = 200
    max_ble_codes: Annotated[
        int, _Option(_whole(1, 10_000_000), "bind codes for BLE-only devices that are not used yet")
    ] = 10_000
    max_ble_codes_per_user: Annotated[int, _Option(_whole(1, 1_000_000), "... of one user")] = 20
    sign_in_window_s: Annotated[int, _Option(_whole(1, 86_400), "span in which failed sign-ins are counted")] = 1_200
    max_sign_ins_per_address: Annotated[
        int, _Option(_whole(1, 1_000_000), "failed sign-ins from one address in that span")
    ] = 100
    max_sign_ins_per_account: Annotated[
        int,
        _Option(
            _whole(1, 1_000_000),
            "... to one account, from all addresses; then only addresses from which it was signed in to before may try",
        ),
    ] = 100
    code_window_s: Annotated[int, _Option(_whole(1, 86_400), "span in which mail codes are counted")] = 600
    max_codes_per_email: Annotated[
        int, _Option(_whole(1, 1_000_000), "mail codes to one mail address in that span")
    ] = 5
    max_codes_per_address: Annotated[
        int, _Option(_whole(1, 1_000_000), "mail codes asked for from one address in that span")
    ] = 50
    max_wrong_codes_per_guesser: Annotated[
        int, _Option(_whole(1, 1_000), "wrong mail codes for one mail address from one address in that span")
    ] = 5
    wrong_code_window_s: Annotated[
        int, _Option(_whole(1, 2_592_000), "span in which all wrong mail codes are counted")
    ] = 86_400
    max_wrong_codes_per_email: Annotated[
        int,
        _Option(
            _whole(1, 100_000),
            "wrong mail codes for one mail address in that span; then only addresses known to the account may try",
        ),
    ] = 50
    max_wrong_codes_per_address: Annotated[
        int,
        _Option(
            _whole(1, 100_000), "wrong mail codes from one address in that span; then only accounts known there may try"
        ),
    ] = 50
    change_rate_per_user: Annotated[
        int, _Option(_whole(1, 100_000), "calls a second of one user that may change something, for whoever goes on so")
    ] = 5
    change_burst_per_user: Annotated[int, _Option(_whole(1, 10_000_000), "... at once")] = 1_000
    refusal_audit_s: Annotated[
        int, _Option(_whole(1, 86_400), "span in which a device's refused log-ins make one audit entry")
    ] = 60

    log_in_rate_per_address: Annotated[
        int, _Option(_whole(1, 10_000_000), "log-ins of devices a second from one address, right or wrong")
    ] = 2_000
    log_in_burst_per_address: Annotated[
        int, _Option(_whole(1, 10_000_000), "... at once, as when a fleet comes back after an outage")
    ] = 20_000
    failed_log_in_window_s: Annotated[
        int, _Option(_whole(1, 86_400), "span in which failed log-ins of devices are counted")
    ] = 600
    max_failed_log_ins_per_device: Annotated[
        int,
        _Option(
            _whole(1, 1_000_000),
            "failed log-ins with one client id in that span before failures get no answer; a right one always does",
        ),
    ] = 60
    max_failed_log_ins_per_address: Annotated[int, _Option(_whole(1, 10_000_000), "... from one address")] = 3_000
    enrolment_window_s: Annotated[int, _Option(_whole(1, 86_400), "span in which enrolments are counted")] = 3_600
    max_enrolments_per_product: Annotated[
        int, _Option(_whole(1, 10_000_000), "devices of one product that may enrol in that span")
    ] = 10_000
    max_enrolments_per_address: Annotated[
        int, _Option(_whole(1, 10_000_000), "devices that may enrol from one address in that span")
    ] = 5_000
    message_rate: Annotated[
        int, _Option(_whole(1, 1_000_000), "messages a second of one device; what is over is acknowledged and dropped")
    ] = 20
    message_burst: Annotated[int, _Option(_whole(1, 1_000_000), "... at once")] = 400
    max_messages_per_day: Annotated[
        int, _Option(_whole(1, 1_000_000_000), "messages of one device in a day of UTC")
    ] = 200_000
    max_control_devices: Annotated[int, _Option(_whole(1, 300), "devices that one call controls")] = 100
    max_control_size: Annotated[int, _Option(_whole(64, 60_000), "bytes of one command of a user to a device")] = 8_192
    max_queued_per_device: Annotated[
        int, _Option(_whole(1, 10_000), "commands of one user that wait for one device that is away")
    ] = 100
    max_queued_per_user: Annotated[int, _Option(_whole(1, 1_000_000), "... for all devices together")] = 1_000

    history_days: Annotated[
        int, _Option(_whole(0, 3_650), "days for which reports of devices are kept for their owners; 0 keeps none")
    ] = 7
    max_history_rows: Annotated[
        int, _Option(_whole(1, 1_000_000), "reports of one device that are kept, the latest of them")
    ] = 2_000

    max_http_connections: Annotated[int, _Option(_whole(1, 1_000_000), "HTTP connections at one time")] = 2_000
    max_http_connections_per_address: Annotated[
        int, _Option(_whole(1, 1_000_000), "... from one address; a trusted proxy is not counted")
    ] = 200
    max_http_header_size: Annotated[
        int, _Option(_whole(4_096, 1_048_576), "request line and headers of one HTTP request")
    ] = 32_768
    http_idle_time_s: Annotated[
        int, _Option(_whole(1, 3_600), "time an HTTP connection may be idle, or take to send its headers")
    ] = 30
    max_push_connections: Annotated[
        int, _Option(_whole(1, 1_000_000), "WebSocket connections of Apps at one time; they count apart from HTTP's")
    ] = 5_000
    max_push_connections_per_user: Annotated[int, _Option(_whole(1, 1_000_000), "... of one user")] = 10
    max_push_connections_per_address: Annotated[
        int, _Option(_whole(1, 1_000_000), "... from one address; behind a proxy all have the proxy's")
    ] = 200
    max_push_subscriptions: Annotated[
        int, _Option(_whole(1, 100_000), "devices that one WebSocket connection subscribes to")
    ] = 200
    max_push_rate: Annotated[
        int,
        _Option(
            _whole(1, 10_000), "messages a second from one WebSocket connection, over ten seconds, before it is dropped"
        ),
    ] = 50
    push_queue_size: Annotated[
        int, _Option(_whole(4_096, 16_777_216), "bytes waiting for an App that does not read before it is dropped")
    ] = 262_144
    push_log_in_time_s: Annotated[int, _Option(_whole(1, 300), "time a new WebSocket connection has to log in")] = 10
    stop_time_s: Annotated[int, _Option(_whole(1, 300), "time that work under way gets to finish after SIGTERM")] = 10
    log_level: Annotated[
        LogLevel, _Option(_one_of("debug", "info", "warning", "error"), "least severe log entry written to stderr")
    ] = "info"

    @property
    def limits(self) -> Limits:
        """Those of the settings that the rules of the domain need."""
        return Limits(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Limits)})

    @property
    def push_limits(self) -> PushLimits:
        """Those of the settings that push needs."""
        return PushLimits(**{field.name: getattr(self, field.name) for field in dataclasses.fields(PushLimits)})

    @property
    def history_limits(self) -> HistoryLimits:
        """How much is kept of what devices report."""
        return HistoryLimits(history_days=self.history_days, max_history_rows=self.max_history_rows)

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("--tls-cert and --tls-key belong together: give both or neither")
        if self.mqtts_port is not None and self.tls_cert is None:
            raise SettingsError("--mqtts-port needs --tls-cert and --tls-key")
        if self.https_port is not None and self.tls_cert is None:
            raise SettingsError("--https-port needs --tls-cert and --tls-key")
        if self.tls_cert is not None and self.mqtts_port is None and self.https_port is None:
            raise SettingsError("--tls-cert and --tls-key are for TLS listeners: give --mqtts-port or --https-port too")
        if self.mqtts_client_ca is not None and self.mqtts_port is None:
            raise SettingsError("--mqtts-client-ca is for the TLS listener of devices: give --mqtts-port too")
        if self.http_port is None and self.https_port is None:
            raise SettingsError("--http-port none needs --https-port: Apps and operators must come in somewhere")
        if self.mqtt_port is None and self.mqtts_port is None:
            raise SettingsError("--mqtt-port none needs --mqtts-port: devices must come in somewhere")
        ports = [port for port in (self.http_port, self.mqtt_port, self.https_port, self.mqtts_port) if port]
        if len(set(ports)) != len(ports):
            raise SettingsError("--http-port, --https-port, --mqtt-port and --mqtts-port must differ")
        if self.smtp_host is not None and self.smtp_from is None:
            raise SettingsError("--smtp-host needs --smtp-from, the sender of the mails")
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise SettingsError("--smtp-user and --smtp-password belong together: give both or neither")


def _options() -> Iterator[tuple[str, object, _Option]]:
    hints = get_type_hints(Settings, include_extras=True)
    for field in dataclasses.fields(Settings):
        yield field.name, field.default, hints[field.name].__metadata__[0]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Give `parser` one flag per setting. Values stay text, absent flags stay out: `load` judges them."""
    for name, default, option in _options():
        shown = "" if default is None or default == () else f"; default: {default}"
        parser.add_argument(
            _flag(name),
            dest=name,
            default=argparse.SUPPRESS,
            metavar=_metavar(name),
            help=f"{option.meaning}{shown} [{_variable(name)}]",
        )


def load(flags: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """Settings from flags (by field name, text) and, where a flag is absent, from the environment.

    An empty environment variable counts as absent, as in a container file that leaves it blank.

    Raises:
        SettingsError: a value is outside its range, or two of them contradict each other.
    """
    chosen: dict[str, Any] = {}
    for name, _, option in _options():
        if flags.get(name) is not None:
            source, text = _flag(name), str(flags[name])
        elif environ.get(_variable(name)):
            source, text = _variable(name), environ[_variable(name)]
        else:
            continue
        try:
            chosen[name] = option.parse(text)
        except ValueError as error:
            # The value of a password must not end up in a log.
            shown = "" if "password" in name else f", not {text!r}"
            raise SettingsError(f"{source} {error}{shown}") from None
    return Settings(**chosen)


def _flag(name: str) -> str:
    return "--" + name.removesuffix("_s").replace("_", "-")


def _variable(name: str) -> str:
    return "QUECBIND_" + name.removesuffix("_s").upper()


def _metavar(name: str) -> str:
    last = name.removesuffix("_s").rsplit("_", 1)[-1]
    return {"data": "DIR", "cert": "FILE", "key": "FILE", "ca": "FILE"}.get(last, last.upper())
