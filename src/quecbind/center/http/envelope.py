"""The answer of every App API call: HTTP 200 and {code, msg, data, extMsg} (app-api.md A1).

The one place where what a service refuses, a request nobody can read and an error nobody expected become numbers.
An unexpected error is logged by type and place only: its message may quote what the caller sent.
"""

import logging
import traceback

import msgspec
from starlette.responses import Response

from quecbind.center.domain import refusal
from quecbind.center.domain.refusal import Refused
from quecbind.center.http.limits import BodyTooLargeError, ParameterError
from quecbind.center.services.errors import Rejected, StorageError

OK = 200
_log = logging.getLogger("quecbind.http")
_encoder = msgspec.json.Encoder()


class Envelope(msgspec.Struct, rename="camel"):
    """What every App reads first; `code` 200 is success."""

    code: int
    msg: str
    data: object = None
    ext_msg: object = None


def success(data: object) -> Response:
    """The answer of a call that did what it was asked."""
    return _response(Envelope(OK, "", data))


def failure(error: Exception, route: str) -> Response:
    """The answer to `error`, raised while `route` (the path of the route table, no query) was served."""
    match error:
        case Rejected():
            refused = error.refused
        case ParameterError():
            refused = Refused(refusal.INVALID, detail=str(error))
        case StorageError():
            _log.error("http.storage_failed route=%s", route)
            refused = Refused(refusal.SERVICE_ERROR)
        case _:
            _log.error("http.failed route=%s error=%s at=%s", route, type(error).__name__, place(error))
            refused = Refused(refusal.SERVICE_ERROR)
    hint = {"retryAfter": refused.retry_after_s} if refused.retry_after_s is not None else None
    answer = _response(Envelope(refused.code, refused.sentence, None, hint))
    if isinstance(error, BodyTooLargeError):
        # The rest of the body is still on its way; nobody is going to read it.
        answer.headers["connection"] = "close"
    return answer


def no_such_path(status: int, sentence: str) -> Response:
    """The answer to a path (404) or method (405) that does not exist: an envelope too, but with the HTTP status set,
    so that a mistyped address shows in any client."""
    return _response(Envelope(status, sentence), status)


def place(error: Exception) -> str:
    """Where an exception was raised, innermost first: files, lines and functions, not its message."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}:{frame.name}" for frame in reversed(frames))


def _response(envelope: Envelope, status: int = OK) -> Response:
    return Response(_encoder.encode(envelope), status, media_type="application/json")
