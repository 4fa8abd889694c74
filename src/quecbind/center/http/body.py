"""Reads the body of one request, never more of it than the limit, never longer than its time.

Refuses to trust Content-Length: chunks are counted as they come, and the rest of a body that is too large is not read.
"""

import asyncio

from starlette.requests import Request

from quecbind.center.http.limits import BodyTooLargeError, Limits, ParameterError


async def read(request: Request, limits: Limits) -> bytes:
    """The whole body.

    Raises:
        BodyTooLargeError: more bytes than `limits.max_body_size`, announced or sent.
        ParameterError: it did not arrive within `limits.body_time_s`.
        starlette.requests.ClientDisconnect: the peer is gone.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limits.max_body_size:
        raise BodyTooLargeError(_too_large(limits))
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_time_s):
            async for chunk in request.stream():
                if len(body) + len(chunk) > limits.max_body_size:
                    raise BodyTooLargeError(_too_large(limits))
                body += chunk
    except TimeoutError:
        raise ParameterError("the body did not arrive in time") from None
    return bytes(body)


def _too_large(limits: Limits) -> str:
    return f"the body is too large, at most {limits.max_body_size} bytes are read"
