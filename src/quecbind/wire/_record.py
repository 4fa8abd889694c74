"""Small values with named fields that know which of them must not be shown.

A namedtuple would do, but on MicroPython its repr cannot be replaced, and a secret in a log is a secret lost.
"""


class Record:
    """Equal to another of its class with the same fields; repr gives the size of a hidden field alone."""

    __slots__: "tuple[str, ...]" = ()
    _fields: "tuple[str, ...]" = ()
    _hidden: "tuple[str, ...]" = ()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        return all(getattr(self, name) == getattr(other, name) for name in self._fields)

    __hash__ = None  # type: ignore[assignment]  # records are not frozen

    def __repr__(self) -> str:
        shown = []
        for name in self._fields:
            value = getattr(self, name)
            if name in self._hidden and value is not None:
                shown.append("%s=<%d hidden>" % (name, len(value)))
            else:
                shown.append("%s=%r" % (name, value))
        return "%s(%s)" % (type(self).__name__, ", ".join(shown))
