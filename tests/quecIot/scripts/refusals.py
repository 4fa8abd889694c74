"""Which bind codes and timeouts are refused and taken; run on both interpreters."""

import quecIot

CODE = "1234567890123456"
CODES = [
    "123456789012345",
    "12345678901234567",
    "abcdef7890123456",
    "\uff11234567890123456"[:16],
    "\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\uff10\uff11\uff12\uff13\uff14\uff15\uff16",
    "123456789012345\x00",
    "1234567890 23456",
    " " * 16,
    b"\xff\xfe" + b"3" * 14,
    "123456789012345G",
    1234567890123456,
    True,
    1.5,
    [],
]
TIMEOUTS = [-1, 2**32, 1.5, "120", True, None]

assert quecIot.bindcodeSet(CODE, 120) is False
assert quecIot.rst() is False
assert quecIot.bindcodeGet() is None
assert quecIot.getWorkState() == 0
assert quecIot.init() is True
for code in CODES:
    assert quecIot.bindcodeSet(code, 120) is False, code
for timeout in TIMEOUTS:
    assert quecIot.bindcodeSet(CODE, timeout) is False, timeout
assert quecIot.bindcodeGet() is None
for timeout in (1, 120, 4294967295):
    assert quecIot.bindcodeSet(CODE, timeout) is True
    assert quecIot.bindcodeGet() == [CODE, timeout]
assert quecIot.bindcodeSet(CODE.encode(), 120) is True
assert quecIot.bindcodeSet(CODE, 0) is True
assert quecIot.bindcodeGet() is None
drawn = []
for nothing in (None, "", b""):
    assert quecIot.bindcodeSet(nothing, 60) is True
    drawn.append(quecIot.bindcodeGet()[0])
assert len(set(drawn)) == 3
assert all(len(code) == 16 and all(letter in "0123456789ABCDEF" for letter in code) for code in drawn)
for arguments in (("p;1", "s"), ("", "s"), ("p1", ""), (5, "s"), ("p" * 33, "s")):
    assert quecIot.setProductinfo(*arguments) is False
for data in ({}, {0: 1}, {1: None}, {True: 1}, {1: float("nan")}, {1: 2**63}, {"1": 1}):
    assert quecIot.phymodelReport(0, data) is False
assert quecIot.setConnmode(1) is False
print("done")
