"""Who may bind devices of a product at all, before any code is looked at. Pure; knows no device.

A product nobody has and a product that is not open to this App get the same answer.
"""

from quecbind.center.domain import refusal
from quecbind.center.domain.refusal import Refused


def may_bind(*, product_is_open: bool, user_is_enabled: bool) -> Refused | None:
    """None when the user may bind devices of the product, else why not."""
    if not product_is_open:
        return Refused(refusal.DOMAIN_NOT_LINKED)
    if not user_is_enabled:
        return Refused(refusal.MAY_NOT_BIND)
    return None
