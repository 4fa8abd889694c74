"""The App's side: find a device nearby, learn its bind code, have the platform bind it, and use what is bound.

`client` speaks HTTP to the platform, `lan` and `ble` speak to devices nearby, `pairing` joins the two. `Device` is
a device that is bound, read and written over whichever way is open; `ways.device_of` makes one.
"""

from quecbind.app.device import Device

__all__ = ("Device",)
