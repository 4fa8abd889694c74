"""How much of an HTTP request this server reads, and the errors of a request that breaks a rule of reading."""

from dataclasses import dataclass


class ParameterError(ValueError):
    """The request cannot be read as parameters; the sentence says which rule it breaks, never what it held."""


class BodyTooLargeError(ParameterError):
    """The body has more bytes than this server reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a request is looked at. Sizes are bytes, lengths characters, spans seconds, all inclusive."""

    max_body_size: int = 65_536
    max_query_size: int = 8_192
    max_fields: int = 64
    max_depth: int = 8
    max_text: int = 8_192
    body_time_s: float = 15.0


DEFAULT_LIMITS = Limits()
