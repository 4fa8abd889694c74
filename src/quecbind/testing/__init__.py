"""Doubles that ship, for our tests and for those of whoever builds on quecbind.

`clock.FakeClock` stands still until moved, `device.FakeDevice` is a device that does exactly what it is told,
`network.MemoryNetwork` is a local network without sockets, `vectors.load` reads the byte-exact examples, `quecpython`
is what a QuecPython script imports besides quecIot.
"""
