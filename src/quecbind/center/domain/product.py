"""A product: what all its devices share, and the choices its operator made."""

from dataclasses import dataclass
from typing import Literal, get_args

from quecbind.center.domain.ids import ProductKey, Secret

BindMode = Literal["multi", "single", "alternate"]
ReEnrol = Literal["approve", "open", "locked"]
DomainAccess = Literal["all", "listed"]

BIND_MODES: tuple[BindMode, ...] = get_args(BindMode)
RE_ENROL_POLICIES: tuple[ReEnrol, ...] = get_args(ReEnrol)

# app-api.md C5.
NUMBER_BY_BIND_MODE: dict[BindMode, int] = {"multi": 1, "single": 2, "alternate": 3}

MAX_WINDOW_S = 4_294_967_295
DEFAULT_WINDOW_S = 120
DEFAULT_DEVICE_LIMIT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A kind of device.

    Attributes:
        re_enrol: what an active device may do that asks for a secret again. `approve`: only with a reset proof or an
            approval given within 15 minutes. `open`: always. `locked`: only with a reset proof, approvals do not count.
        device_limit: most devices the product can have.
        default_window_s: the bind window of a device that reports a code without the seconds left.
        static_secrets: devices get their secret at the factory; none may enrol.
        dynamic_enrolment: whether a device nobody has imported may enrol.
        allow_serial_binding: Apps may bind by an imported serial number, which is on the box and can be guessed.
        allow_sharing: whether owners may invite others; what was accepted before goes on when it is switched off.
        ble_only: its devices never talk to the Developer Center; the App carries both sides of a binding.
        replay_strict: a log-in nonce that comes again is refused, not only counted.
        domain_access: `all` user domains, or only the `listed` ones, may bind its devices.
        created_at: UTC milliseconds.
    """

    product_key: ProductKey
    product_secret: Secret
    name: str
    bind_mode: BindMode = "multi"
    re_enrol: ReEnrol = "approve"
    device_limit: int = DEFAULT_DEVICE_LIMIT
    default_window_s: int = DEFAULT_WINDOW_S
    allow_device_key_binding: bool = False
    static_secrets: bool = False
    dynamic_enrolment: bool = True
    replay_strict: bool = False
    allow_serial_binding: bool = False
    ble_only: bool = False
    allow_sharing: bool = True
    domain_access: DomainAccess = "all"
    device_count: int = 0
    created_at: int = 0
