"""What happens to a device, told to Apps while it happens: WebSocket v1 and MQTT over WebSocket v2.

The two sessions decide without I/O and without a clock of their own; `line` carries.
"""
