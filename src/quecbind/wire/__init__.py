"""The protocol as bytes and values: frames, TTLV, MQTT packets, signatures, LAN messages.

Nothing here opens a socket, reads a clock or draws a random number: those come in as arguments.
Everything runs on CPython and on MicroPython. Any bytes give a value or a `WireError`.
"""
