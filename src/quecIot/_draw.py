"""Random values without bias, out of entropy that is handed in.

`entropy(n)` gives n bytes from the system's secure random; nothing here has a source of its own.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Entropy = Callable[[int], bytes]

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HEX = "0123456789ABCDEF"


def letters(entropy: "Entropy", count: int) -> str:
    """`count` of 0-9 A-Z a-z, each as likely as any other: bytes past the last whole 62 are thrown away."""
    out: "list[str]" = []
    while len(out) < count:
        for byte in entropy(count):
            if byte < 248 and len(out) < count:
                out.append(_LETTERS[byte % 62])
    return "".join(out)


def hex_digits(entropy: "Entropy", count: int) -> str:
    """`count` (even) of 0-9 A-F."""
    return "".join([_HEX[byte >> 4] + _HEX[byte & 15] for byte in entropy(count // 2)])


def fraction(entropy: "Entropy") -> float:
    """A number from 0 to 1, both included, to spread waits with."""
    two = entropy(2)
    return (two[0] << 8 | two[1]) / 65535
