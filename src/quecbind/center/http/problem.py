"""Errors of the operator API as problem+json (RFC 9457): type, title, status, detail, code.

The one place where what a service refuses becomes an HTTP status. An unexpected error tells the caller nothing.
"""

import logging
import re
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from quecbind.center.domain import refusal
from quecbind.center.http.envelope import place
from quecbind.center.http.limits import BodyTooLargeError, ParameterError
from quecbind.center.services.errors import Conflict, NotFound, Rejected, StorageError, Unauthenticated

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger("quecbind.http")
_encoder = msgspec.json.Encoder()

# What the patterns of `operator_bodies` have around them says nothing to people.
_PATTERN = re.compile(r"Expected `str` matching regex '\^(.*)\$\(\?!\\\\n\)'")

_STATUS_BY_CODE = {
    refusal.NO_PERMISSION: HTTPStatus.FORBIDDEN,
    refusal.ACCESS_KEY_INVALID: HTTPStatus.UNAUTHORIZED,
    refusal.NOT_FOUND: HTTPStatus.NOT_FOUND,
    refusal.CONFLICT: HTTPStatus.CONFLICT,
    refusal.TOO_MANY_GUESSES: HTTPStatus.TOO_MANY_REQUESTS,
    refusal.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Problem(msgspec.Struct, kw_only=True):
    """Why a request failed. `title` is the same for every problem of its `code`, `detail` is about this one."""

    type: str
    title: str
    status: int
    detail: str
    code: int


class HttpProblemError(Exception):
    """What HTTP itself refuses, before any service is asked: media type, method, path, malformed JSON."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def response(error: Exception, route: str) -> Response:
    """The answer to `error`, raised while `route` (the path of the route table, no query) was served."""
    headers: dict[str, str] = {}
    match error:
        case Rejected():
            status, code, detail = status_of(error), error.code, error.sentence
            if error.retry_after_s is not None:
                headers["retry-after"] = str(error.retry_after_s)
        case HttpProblemError():
            code = refusal.NOT_FOUND if error.status == HTTPStatus.NOT_FOUND else refusal.INVALID
            status, detail = error.status, str(error)
        case msgspec.ValidationError():
            detail = _PATTERN.sub(r"Expected text like `\1`", str(error))
            status, code = HTTPStatus.UNPROCESSABLE_ENTITY, refusal.INVALID
        case BodyTooLargeError():
            status, code, detail = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, refusal.INVALID, str(error)
            headers["connection"] = "close"
        case ParameterError():
            status, code, detail = HTTPStatus.BAD_REQUEST, refusal.INVALID, str(error)
        case StorageError():
            _log.error("http.storage_failed route=%s", route)
            status, code, detail = HTTPStatus.SERVICE_UNAVAILABLE, refusal.UNAVAILABLE, ""
        case _:
            _log.error("http.failed route=%s error=%s at=%s", route, type(error).__name__, place(error))
            status, code, detail = HTTPStatus.INTERNAL_SERVER_ERROR, refusal.SERVICE_ERROR, ""
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="quecbind operator API"'
    title = refusal.SENTENCE_BY_CODE.get(code, "refused") if code != refusal.INVALID else status.phrase
    problem = Problem(
        type=f"urn:quecbind:problem:{code}",
        title=title,
        status=status,
        detail=detail or refusal.SENTENCE_BY_CODE.get(code, title),
        code=code,
    )
    return Response(_encoder.encode(problem), status, headers, MEDIA_TYPE)


def status_of(error: Rejected) -> HTTPStatus:
    """The HTTP status of a refusal: by its type, then by its number; 422 when neither says."""
    match error:
        case Unauthenticated():
            return HTTPStatus.UNAUTHORIZED
        case NotFound():
            return HTTPStatus.NOT_FOUND
        case Conflict():
            return HTTPStatus.CONFLICT
        case _:
            return _STATUS_BY_CODE.get(error.code, HTTPStatus.UNPROCESSABLE_ENTITY)
