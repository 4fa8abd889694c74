"""Devices over BLE: `scan` finds them, `pairing` asks for a bind code or gives a network, `link` opens a session."""
