"""JSON from strangers: measured before it is parsed, and refused where two readers could understand it differently."""

import json
import math
import re
from typing import NoReturn

from quecbind.center.http.limits import Limits, ParameterError

# Whole JSON strings, closed or not, or one structural character. Possessive, so that no input makes it go back.
_JSON_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?|[\[\]{},]', re.DOTALL)


def parse(body: bytes, limits: Limits) -> object:
    """The value of a JSON text, measured first.

    Raises:
        ParameterError: not UTF-8, not JSON, too deep, too many values, a repeated key, a number
            beyond 64 bits or not finite, half a surrogate pair.
    """
    _measure(body, limits)
    try:
        text = body.decode()
        value: object = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_no_constant,
        )
        # An escape can spell half a surrogate pair, which no UTF-8 text and no database column can hold.
        json.dumps(value, ensure_ascii=False).encode()
    except ParameterError:
        raise
    except UnicodeError:
        raise ParameterError("the body is not UTF-8") from None
    except (ValueError, RecursionError):
        raise ParameterError("the body is not valid JSON") from None
    return value


def _measure(body: bytes, limits: Limits) -> None:
    depth, value_count = 0, 0
    for token in _JSON_TOKEN.finditer(body):
        match body[token.start() : token.start() + 1]:
            case b"{" | b"[":
                depth += 1
                value_count += 1
                if depth > limits.max_depth:
                    raise ParameterError(
                        f"the JSON body is nested too deeply, at most {limits.max_depth} levels are read"
                    )
            case b"}" | b"]":
                depth -= 1
            case b",":
                value_count += 1
        if value_count > limits.max_fields:
            raise ParameterError(f"too many fields, at most {limits.max_fields} are read")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ParameterError("a key of the JSON body is repeated")
    return values


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ParameterError("a number is outside the 64-bit range")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ParameterError("a number is too large")
    return number


def _no_constant(_name: str) -> NoReturn:
    raise ParameterError("NaN and Infinity are not JSON")
