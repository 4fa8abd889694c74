"""quecbind: a device, a Developer Center and an App that agree on who owns the device.

Imported by MicroPython too, so it holds nothing but the version.
"""

__version__ = "0.1.0"
