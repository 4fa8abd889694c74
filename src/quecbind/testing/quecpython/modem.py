"""Stand-in for QuecPython's modem: names and numbers of a module that is none.

The IMEI is zeros behind a test prefix: a script that uses it as device key makes every such device the same. Run each
with `--dk` of its own.
"""


def getDevImei() -> str:
    return "001000000000000"


def getDevModel() -> str:
    return "STAND-IN"


def getDevSN() -> str:
    return "STAND-IN"


def getDevFwVersion() -> str:
    return "STAND-IN_QUECBIND"


def getDevProductId() -> str:
    return "stand-in"


def getDevMAC() -> str:
    return "02:00:00:00:00:00"
