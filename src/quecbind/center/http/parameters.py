"""The parameters of one App API request, whether they came as query, form, multipart or JSON (app-api.md A1, A4).

Bytes are measured before they are parsed: body size, number of fields, nesting. What could be read in two ways is
refused: a name given twice with different values, a JSON key that repeats, bytes that are not UTF-8, a number no
64-bit integer holds. Fields nobody asks for are ignored. Pure: no I/O, no clock; the body has been read already.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import parse_qsl

from quecbind.center.http import json_body, multipart
from quecbind.center.http.limits import DEFAULT_LIMITS, BodyTooLargeError, Limits, ParameterError

# In a JSON list there are many objects, each with few.
MAX_LIST_FIELDS = 1024

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}")
_FLAG_BY_TEXT = {"true": True, "1": True, "false": False, "0": False}


class Parameters:
    """Values by name; the carrier no longer matters. An empty value counts as missing, as on the platform."""

    __slots__ = ("_limits", "_value_by_name")

    def __init__(self, value_by_name: Mapping[str, object], limits: Limits = DEFAULT_LIMITS) -> None:
        self._value_by_name = value_by_name
        self._limits = limits

    def __repr__(self) -> str:
        # Values may be passwords and tokens.
        return f"<Parameters {' '.join(sorted(self._value_by_name))}>"

    def text(self, *names: str) -> str:
        """The value of the first of `names` that has one, as text; "" when none has.

        JSON numbers and true/false become the text a query would have carried.

        Raises:
            ParameterError: the value is an object or a list, or holds a NUL.
        """
        for name in names:
            text = self._text(name, self._value_by_name.get(name))
            if text:
                return text
        return ""

    def base64(self, name: str) -> str:
        """The value of a parameter that holds Base64.

        A "+" that was not escaped in a query or a form has become a space there.

        Raises:
            ParameterError: see `text`.
        """
        return self.text(name).replace(" ", "+")

    def texts(self, name: str) -> list[str]:
        """The parts of a comma-separated value or of a JSON list, without empty ones."""
        value = self._value_by_name.get(name)
        parts = value if isinstance(value, list) else self.text(name).split(",")
        return [text for part in parts if (text := self._text(name, part))]

    def objects(self, name: str) -> "list[Parameters]":
        """The objects of a JSON list; none when it is missing.

        Raises:
            ParameterError: it is no list of objects.
        """
        value = self._value_by_name.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise ParameterError(f"{name} must be a JSON list of objects")
        return [Parameters(each, self._limits) for each in value]

    def whole(self, *names: str, default: int, lowest: int, highest: int) -> int:
        """A whole number; `default` when missing, the nearer bound when it lies outside `lowest..highest`.

        Raises:
            ParameterError: it is not a whole number of at most 19 digits.
        """
        text = self.text(*names)
        if not text:
            return default
        if not _WHOLE_NUMBER.fullmatch(text):
            raise ParameterError(f"{names[0]} must be a whole number")
        return min(max(int(text), lowest), highest)

    def flag(self, name: str, *, default: bool) -> bool:
        """true, false, 1 or 0 in any case; `default` when missing.

        Raises:
            ParameterError: it is anything else.
        """
        text = self.text(name)
        if not text:
            return default
        try:
            return _FLAG_BY_TEXT[text.lower()]
        except KeyError:
            raise ParameterError(f"{name} must be true or false") from None

    def _text(self, name: str, value: object) -> str:
        match value:
            case None:
                return ""
            case bool():
                return "true" if value else "false"
            case str():
                text = value
            case int() | float():
                text = str(value)
            case _:
                raise ParameterError(f"{name} must be a single value")
        if len(text) > self._limits.max_text:
            raise ParameterError(f"{name} is too long")
        if "\0" in text:
            raise ParameterError(f"{name} must not hold a NUL")
        return text


def read(query: bytes, content_type: str, body: bytes, limits: Limits = DEFAULT_LIMITS) -> Parameters:
    """The parameters of a request.

    The declared content type decides between multipart and the rest only: Apps post JSON as a form and forms as
    nothing at all, so a body that opens an object is JSON and any other is a form. One that is declared as JSON and
    is no object is refused.

    Raises:
        ParameterError: see its subclasses and sentences.
    """
    pairs = query_fields(query, limits)
    if len(body) > limits.max_body_size:
        raise BodyTooLargeError(f"the body is too large, at most {limits.max_body_size} bytes are read")
    media_type = content_type.partition(";")[0].strip().lower()
    opening = body.lstrip(b" \t\r\n")[:1]
    if not opening:
        pass
    elif media_type == "multipart/form-data":
        pairs += multipart.fields(body, content_type, limits)
    elif opening == b"{" or media_type == "application/json" or media_type.endswith("+json"):
        pairs += _json_fields(body, limits)
    else:
        pairs += _form_fields(body, "form", limits)
    if len(pairs) > limits.max_fields:
        raise ParameterError(f"too many fields, at most {limits.max_fields} are read")
    return Parameters(without_contradiction(pairs), limits)


def rows(body: bytes, limits: Limits = DEFAULT_LIMITS) -> list[Parameters]:
    """The objects of a JSON list; none when there is no body.

    Raises:
        ParameterError: it is no list of objects, or too long for one.
    """
    if len(body) > limits.max_body_size:
        raise BodyTooLargeError(f"the body is too large, at most {limits.max_body_size} bytes are read")
    if not body.strip():
        return []
    value = json_body.parse(body, replace(limits, max_fields=MAX_LIST_FIELDS))
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise ParameterError("the body must be a JSON list of objects")
    return [Parameters(row, limits) for row in value]


def _json_fields(body: bytes, limits: Limits) -> list[tuple[str, object]]:
    value = json_body.parse(body, limits)
    if not isinstance(value, dict):
        raise ParameterError("the JSON body must be an object")
    return list(value.items())


def query_fields(query: bytes, limits: Limits) -> list[tuple[str, object]]:
    """(name, value) of a query, in order.

    Raises:
        ParameterError: it is too long, has too many fields, or is not UTF-8.
    """
    if len(query) > limits.max_query_size:
        raise ParameterError("the query is too long")
    return _form_fields(query, "query", limits)


def _form_fields(data: bytes, carrier: str, limits: Limits) -> list[tuple[str, object]]:
    if data.count(b"&") >= limits.max_fields:
        raise ParameterError(f"too many fields, at most {limits.max_fields} are read")
    try:
        # Percent signs carry UTF-8; raw bytes beyond ASCII are taken as UTF-8 too.
        return list(parse_qsl(data.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeError:
        raise ParameterError(f"the {carrier} is not UTF-8") from None
    except ValueError:
        raise ParameterError(f"the {carrier} cannot be read") from None


def without_contradiction(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    """One value for each name. The same name and value twice is harmless: some Apps send query and form alike."""
    values: dict[str, object] = {}
    for name, value in pairs:
        if values.setdefault(name, value) != value:
            raise ParameterError("a parameter is given twice with different values")
    return values
