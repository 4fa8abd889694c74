"""From "somewhere near me" to "mine": search, pair, ask whether binding is allowed, bind.

The order of things: the App searches the local network, or listens over BLE, asks each device that fits for its bind
code, and gives code and keys to the platform. The device reports the same code over its own link, and the App may well
be faster; the platform then says 5460 and the App asks again every 2 seconds until the deadline. What a device says
nearby proves nothing: only the platform, which heard the code from the device itself, decides.

A device that is the user's already may have been reset where the platform has not heard of it: it is bound like any,
and the platform says 5460 until the device has come back, or success at once when it was not reset at all.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from quecbind.app.bounded import MAX_WAIT_S
from quecbind.app.client import AppClient
from quecbind.app.errors import NoBindCodeError, NothingFoundError, PairingError, RefusedError, WrongPinError
from quecbind.app.lan import LocalNetwork
from quecbind.app.results import Binding
from quecbind.app.way import Found
from quecbind.wire import lan

DEADLINE_S = 60.0
RETRY_EVERY_S = 2.0
SEARCH_S = 3.0
MAX_PAIRED = 64  # devices asked for their code in one round

_CODE_NOT_REPORTED = 5460
_CODE_DIFFERS = 5462
# No reason to stop: it may have been reset where the platform has not heard of it.
_SENTENCE_BY_CODE = {
    5049: "it is yours already; if it was reset, it is bound anew once it has reported its code",
    6040: "it is shared with you already; it becomes yours only with its code",
}

D = TypeVar("D", bound=Found)
StepName = Literal["searching", "found", "no_code", "code", "allowed", "yours", "waiting", "bound"]


class Network(Protocol[D]):
    """Where devices are; `lan.LocalNetwork` and `ble.pairing.BleNetwork` are the real ones.

    Attributes:
        searching: what a search is called.
        nowhere: where nothing was found.
        capabilities: what a device that is found there can talk over, as the platform is told.
    """

    searching: str
    nowhere: str
    capabilities: int

    async def discover(self, seconds: float, enough: Callable[[D], bool] | None = None) -> list[D]: ...

    async def pair(self, device: D, seconds: float) -> lan.Pairing: ...


class Clock(Protocol):
    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that has just happened, with a sentence for whoever waits."""

    name: StepName
    sentence: str


@dataclass(frozen=True, slots=True)
class Bound:
    device: Found
    binding: Binding


@dataclass(frozen=True, slots=True)
class Offer:
    """The bind code by which somebody claims to be a device."""

    device: Found
    bind_code: str = field(repr=False)


def found_step(device: Found) -> Step:
    return Step("found", f"found {device.product_key} {device.device_key} at {device.where}")


def silent(step: Step) -> None:
    """Nobody waits for the steps."""


async def bind_nearby(
    client: AppClient,
    product_key: str | None = None,
    device_key: str | None = None,
    device_name: str | None = None,
    deadline_s: float = DEADLINE_S,
    network: Network[Any] | None = None,
    clock: Clock | None = None,
    tell: Callable[[Step], None] = silent,
) -> Bound:
    """Binds a device nearby to the user who is signed in at `client`.

    Args:
        client: signed in.
        product_key, device_key: which device; without them the one device nearby that offers a bind code.
        device_name: what the user calls it.
        deadline_s: for everything together.
        network, clock: where devices are and what time it is; the local network and the real clock when None. A
            network with a PIN pairs sealed, and then the device should be named: the PIN is tried on every one that
            fits.
        tell: called with every step, for people.

    Raises:
        NothingFoundError: no such device answered.
        NoBindCodeError: it answered, but its bind window was closed the whole time, or it has a PIN and `network` none.
        WrongPinError: the network's PIN is not the device's.
        PairingError: it could not be talked to, or several devices offered a code and none was named.
        RefusedError: the platform said no; 5460 when the device has not reported its code by the deadline.
    """
    attempt = _Attempt(client, product_key, device_key, network or LocalNetwork(), clock or SystemClock(), tell)
    attempt.begin(deadline_s)
    offers = await attempt.collect_offers()
    return await attempt.bind(offers, device_name)


class _Attempt:
    """One run of `bind_nearby`: what all its stages share."""

    def __init__(
        self,
        client: AppClient,
        product_key: str | None,
        device_key: str | None,
        network: Network[Any],
        clock: Clock,
        tell: Callable[[Step], None],
    ) -> None:
        self._client = client
        self._product_key = product_key
        self._device_key = device_key
        self._network = network
        self._clock = clock
        self._tell = tell
        self._deadline = 0.0
        self._told: set[Step] = set()

    def begin(self, deadline_s: float) -> None:
        self._deadline = self._clock.monotonic() + deadline_s

    def _left_s(self) -> float:
        return self._deadline - self._clock.monotonic()

    def _tell_once(self, step: Step) -> None:
        if step not in self._told:
            self._told.add(step)
            self._tell(step)

    def _is_wanted(self, device: Found) -> bool:
        return wanted(device, self._product_key, self._device_key) is not None

    async def _search(self, seconds: float) -> list[Any]:
        # A named device need not be waited for once it has answered; the only one nearby has to be the only one.
        found = await self._network.discover(seconds, self._is_wanted if self._device_key else None)
        named = (wanted(device, self._product_key, self._device_key) for device in found)
        return [device for device in named if device is not None]

    async def collect_offers(self) -> list[Offer]:
        """The bind codes of one device, by everyone who claims to be it; searches until there is at least one."""
        self._tell(Step("searching", self._network.searching))
        failure: PairingError = NothingFoundError(f"no such device answered {self._network.nowhere}")
        while (left := self._left_s()) > 0:
            found = await self._search(min(SEARCH_S, left))
            offers: list[Offer] = []
            wrong_pin: WrongPinError | None = None
            for device in found[:MAX_PAIRED]:
                self._tell_once(found_step(device))
                try:
                    offers.append(await self._offer(device))
                except WrongPinError as error:
                    wrong_pin = error
                except PairingError as error:
                    failure = error
            if offers:
                return self._of_one_device(offers)
            if wrong_pin is not None:
                raise wrong_pin  # trying it again would use up the device's tries
            # A search of its own length has just passed when nothing was found.
            if found:
                await self._clock.sleep(min(RETRY_EVERY_S, max(0.0, self._left_s())))
        raise failure

    async def _offer(self, device: Found) -> Offer:
        pairing = await self._network.pair(device, min(MAX_WAIT_S, max(0.1, self._left_s())))
        try:
            offer = offer_of(device, pairing)
        except NoBindCodeError:
            self._tell_once(
                Step("no_code", f"no bind code from {device.where} yet: not in pairing mode, or it has a PIN")
            )
            raise
        self._tell(Step("code", "the device handed over its bind code"))
        return offer

    @staticmethod
    def _of_one_device(offers: list[Offer]) -> list[Offer]:
        devices = sorted({(offer.device.product_key, offer.device.device_key) for offer in offers})
        if len(devices) > 1:
            names = ", ".join(f"{product_key} {device_key}" for product_key, device_key in devices)
            raise PairingError(f"several devices offer a bind code, name one of them: {names}")
        return offers

    async def bind(self, offers: list[Offer], device_name: str | None) -> Bound:
        device = offers[0].device
        await ask_first(self._client, device, self._tell)
        return await bind_when_reported(
            self._client,
            offers,
            device_name,
            self._network.capabilities,
            clock=self._clock,
            may_wait=lambda: self._left_s() > RETRY_EVERY_S,
            tell=self._tell,
        )


def wanted(device: D, product_key: str | None, device_key: str | None) -> D | None:
    """The device under the key that is wanted; None when it is another. None wants any."""
    if product_key not in {None, device.product_key}:
        return None
    return device if device_key is None else device.called(device_key)


def offer_of(device: Found, pairing: lan.Pairing) -> Offer:
    """What a device that was found has offered.

    Raises:
        PairingError: it says to be another one.
        NoBindCodeError: its bind window is closed.
    """
    named = wanted(device, pairing.product_key, pairing.device_key)
    if named is None:
        raise PairingError(f"the device at {device.where} says to be another one than it announced")
    if pairing.bind_code is None:
        raise NoBindCodeError(f"device {device.device_key} offered no bind code in time")
    return Offer(named, pairing.bind_code)


async def ask_first(client: AppClient, device: Found, tell: Callable[[Step], None]) -> None:
    """Asks the platform whether binding is worth trying; tells "allowed" or "yours".

    Raises:
        RefusedError: the user may not.
    """
    try:
        preview = await client.may_bind(device.product_key, device.device_key)
    except RefusedError as refused:
        sentence = _SENTENCE_BY_CODE.get(refused.code or 0)
        if sentence is None:
            raise
        tell(Step("yours", sentence))
    else:
        tell(Step("allowed", f"the platform allows to bind this {preview.product_name or 'device'}"))


async def bind_when_reported(
    client: AppClient,
    offers: Sequence[Offer],
    device_name: str | None,
    capabilities: int,
    *,
    clock: Clock,
    may_wait: Callable[[], bool],
    tell: Callable[[Step], None],
) -> Bound:
    """Binds with the code of whichever offer is the device's, once the device has reported it to the platform.

    Args:
        client: signed in.
        offers: of one device, by everyone who claims to be it; at least one.
        device_name: what the user calls it.
        capabilities: what it can talk over.
        clock: what waits.
        may_wait: whether there is to be one more try, 2 seconds later.
        tell: called with "waiting" and "bound".

    Raises:
        RefusedError: the platform said no; 5460 when the device has not reported its code in time.
    """
    left = list(offers)
    has_told = False
    while True:
        refused: RefusedError | None = None
        for offer in list(left):
            keys = offer.device.product_key, offer.device.device_key
            try:
                binding = await client.bind_by_code(*keys, offer.bind_code, device_name, capabilities)
            except RefusedError as error:
                refused = error
                # Somebody else who claims to be this device must not keep the user from it.
                if error.code == _CODE_DIFFERS and len(left) > 1:
                    left.remove(offer)
                elif error.code != _CODE_NOT_REPORTED:
                    raise
            else:
                tell(Step("bound", "the device is bound"))
                return Bound(offer.device, binding)
        assert refused is not None
        if not may_wait():
            raise refused
        if not has_told:
            has_told = True
            tell(Step("waiting", "waiting for the device to report its bind code to the platform"))
        await clock.sleep(RETRY_EVERY_S)
