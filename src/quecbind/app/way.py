"""What a way has found that claims to be the device, and opening a session with the one that is.

Anybody can claim to be the device. Each that does is tried; none but the device has the key.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, Self, TypeVar

from quecbind.app.errors import AppError, PathLostError
from quecbind.app.path import Path


class Found(Protocol):
    """Whoever says to be a device."""

    @property
    def product_key(self) -> str: ...

    @property
    def device_key(self) -> str: ...

    @property
    def address(self) -> str: ...

    @property
    def where(self) -> str:
        """Where it is, for people, and no two at the same place."""

    def called(self, device_key: str) -> Self | None:
        """The same under this device key; None when it cannot be the device that has it."""


F = TypeVar("F", bound=Found)


async def open_found(
    keys: tuple[str, str],
    search: Callable[[Callable[[F], bool] | None], Awaitable[Iterable[F]]],
    open_link: Callable[[F], Awaitable[Path]],
    nobody: str,
) -> Path:
    """A path to the device with these product and device keys.

    Args:
        keys: product key and device key.
        search: finds who is there; ends early when what it is given says so of one.
        open_link: a session with one of them.
        nobody: what to say when none claims to be the device.

    Raises:
        PathLostError: none did.
        AppError: why there is no session with the last one that did.
    """

    def is_it(found: F) -> bool:
        return found.product_key == keys[0] and found.called(keys[1]) is not None

    failure: AppError = PathLostError(nobody)
    tried: set[str] = set()
    # The first that answers will do; when it does not, whoever else claims to be it in the whole time.
    for enough in (is_it, None):
        for found in await search(enough):
            if is_it(found) and found.where not in tried:
                tried.add(found.where)
                try:
                    return await open_link(found)
                except AppError as error:
                    failure = error
        if not tried:
            break
    raise failure
