"""JSON that Apps send as text: read in one way, and refused where two readers could understand it differently.

The JSON of HTTP bodies is measured as well: `http.json_body`.
"""

import json
from collections.abc import Callable
from typing import NoReturn


def loads(text: object, *, parse_float: Callable[[str], object] = float) -> object:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or has numbers that JSON has not, or a key twice, or is nested too deep.
    """
    if not isinstance(text, str | bytes):
        raise ValueError("not a text")  # noqa: TRY004 - one error for whatever an App sends
    try:
        value: object = json.loads(text, parse_float=parse_float, parse_constant=_refuse, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("nested too deep") from None
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key is repeated")
    return content


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
