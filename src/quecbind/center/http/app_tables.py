"""The App API as one list: which endpoints there are, by the noun they belong to."""

from quecbind.center.http import binding, ble, control, data, enduser, enterprise, sharing
from quecbind.center.http.app_call import Endpoint

TABLES: tuple[tuple[str, tuple[Endpoint, ...]], ...] = (
    ("binding", binding.ENDPOINTS),
    ("data", data.ENDPOINTS),
    ("control", control.ENDPOINTS),
    ("sharing", sharing.ENDPOINTS),
    ("ble", ble.ENDPOINTS),
    ("enduser", enduser.ENDPOINTS),
    ("enterprise", enterprise.ENDPOINTS),
)
