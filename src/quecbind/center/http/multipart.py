"""The text fields of a multipart/form-data body that has been read already. Files are dropped."""

from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from quecbind.center.http.limits import Limits, ParameterError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


def fields(body: bytes, content_type: str, limits: Limits) -> list[tuple[str, object]]:
    """(name, text) of every field, in order.

    Raises:
        ParameterError: no boundary, broken or unfinished parts, too many of them, text that is not UTF-8.
    """
    boundary = _parameter("content-type", content_type, "boundary")
    if not boundary or not boundary.isascii():
        raise ParameterError("the multipart body has no boundary")
    collector = _Collector(limits)
    try:
        parser = MultipartParser(boundary.encode(), collector.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise ParameterError("the multipart body cannot be read") from None
    if not collector.is_complete:
        raise ParameterError("the multipart body ends too early")
    return collector.pairs


class _Collector:
    def __init__(self, limits: Limits) -> None:
        self.pairs: list[tuple[str, object]] = []
        self.is_complete = False
        self._limits = limits
        self._part_count = 0
        self._begin_part()

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._header_name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._header_name, self._header_value, self._data = bytearray(), bytearray(), bytearray()
        self._name: str | None = None

    def _end_header(self) -> None:
        if bytes(self._header_name).lower() == b"content-disposition":
            value = self._header_value.decode("utf-8", "replace")
            is_file = _parameter("content-disposition", value, "filename") is not None
            self._name = None if is_file else _parameter("content-disposition", value, "name")
        self._header_name, self._header_value = bytearray(), bytearray()

    def _end_part(self) -> None:
        self._part_count += 1
        if self._part_count > self._limits.max_fields:
            raise ParameterError(f"too many fields, at most {self._limits.max_fields} are read")
        if self._name is None:
            return
        try:
            self.pairs.append((self._name, self._data.decode()))
        except UnicodeError:
            raise ParameterError("the form is not UTF-8") from None

    def _end(self) -> None:
        self.is_complete = True


def _parameter(header: str, value: str, name: str) -> str | None:
    """A parameter of a header, without the quotes; of what is written in pieces and charsets (RFC 2231), the text.

    Raises:
        ParameterError: its pieces make no text.
    """
    message = Message()
    message[header] = value
    try:
        found = message.get_param(name, header=header)
        return None if found is None else collapse_rfc2231_value(found)
    except (LookupError, TypeError, ValueError):
        raise ParameterError("the multipart body cannot be read") from None
