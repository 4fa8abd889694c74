"""Opens a bind window and answers the local network until its standard input ends."""

import sys

import quecIot

assert quecIot.init()
assert quecIot.setProductinfo("p1115X", "d2c5Q1FsVWpwT1k3")
assert quecIot.bindcodeSet("0123456789ABCDEF", 120)
print("ready")
if hasattr(sys.stdout, "flush"):
    sys.stdout.flush()
sys.stdin.readline()
