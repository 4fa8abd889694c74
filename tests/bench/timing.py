"""Whether a stranger can tell from the time an answer takes that something exists. Prints, asserts nothing.

    python -m tests.bench.timing [ROUNDS]

Every call is made for each of its cases in turn, in an order that is drawn anew each round, on the real app without a
socket: what would be noise on a network is gone, so what shows here is an upper bound. For each pair of cases: the
share of comparisons in which the first took longer (0.5: no difference) and Mann-Whitney's p, the chance to see at
least that much when there is none. Over many calls a few small p are to be expected; a share far from 0.5 is what to
look for.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from quecbind.center.domain.limits import Limits
from quecbind.center.http import app
from tests.center.http.callers import BINDING, ENDUSER, App, Network, sign_in_fields
from tests.center.services.world import CODE, World

OPEN = Limits(
    max_guesses_per_user=1_000_000,
    max_sign_ins_per_account=1_000_000,
    max_sign_ins_per_address=1_000_000,
    max_codes_per_email=1_000_000,
    max_codes_per_address=1_000_000,
)
CALLS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("GET", "getDeviceInfoByBinding", {}),
    ("POST", "v2/deviceBindingByWifi", {"bindingCode": CODE}),
    ("POST", "bindDeviceDk", {}),
    ("GET", "deviceInfo", {}),
    ("PUT", "setDeviceInfo", {"deviceName": "mine"}),
    ("DELETE", "unbundlingDeviceDk", {}),
    ("POST", "getAuthKey", {}),
    ("GET", "getDeviceBusinessAttributes", {}),
)
Call = Callable[[], Awaitable[object]]


async def measured(cases: dict[str, Call], rounds: int) -> dict[str, list[float]]:
    """Microseconds of every call, by case."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    order = list(cases)
    for number in range(rounds + 5):
        random.shuffle(order)
        for name in order:
            begin = time.perf_counter()
            await cases[name]()
            if number >= 5:
                times[name].append((time.perf_counter() - begin) * 1e6)
    return times


def compared(first: list[float], second: list[float]) -> tuple[float, float]:
    """The share of pairs in which `first` is larger, and Mann-Whitney's p (normal approximation, two-sided)."""
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    rank_sum = 0.0
    for _, group in itertools.groupby(enumerate(ranked, 1), key=lambda item: item[1][0]):
        tied = list(group)
        middle = sum(rank for rank, _ in tied) / len(tied)
        rank_sum += middle * sum(1 for _, (_, which) in tied if which == 0)
    n, m = len(first), len(second)
    u = rank_sum - n * (n + 1) / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return u / (n * m), math.erfc(abs(z) / math.sqrt(2))


def report(name: str, times: dict[str, list[float]]) -> None:
    """One line for the medians, and one for each pair."""
    print(f"{name:<28}" + "  ".join(f"{case} {statistics.median(values):8.0f} us" for case, values in times.items()))
    for (one, first), (other, second) in itertools.combinations(times.items(), 2):
        share, p = compared(first, second)
        print(f"{'':<28}{one} > {other}: {share:.3f}  p {p:.3f}")


async def devices(world: World, alice: App, bob: App, product_key: str, rounds: int) -> None:
    """A device nobody has, one of Alice's, one without a code; asked for by Bob."""
    for method, path, extra in CALLS:
        names = ("productKey", "deviceKey") if path.startswith("v2/") else ("pk", "dk")

        def call(
            device_key: str,
            method: str = method,
            path: str = path,
            names: tuple[str, str] = names,
            extra: dict[str, str] = extra,
        ) -> Call:
            parameters = {names[0]: product_key, names[1]: device_key, **extra}
            headers = {"Authorization": bob.token or ""}
            return lambda: bob.client.request(method, BINDING + path, params=parameters, headers=headers)

        cases = {"unknown": call("NOSUCH1"), "foreign": call("FOREIGN"), "no code": call("NOCODE1")}
        report(path, await measured(cases, rounds))


async def accounts(world: World, network: Network, domain: object, rounds: int) -> None:
    """A wrong password for a known and for an unknown mail address; each try from an address of its own."""
    addresses = (f"10.{a}.{b}.1" for a in range(256) for b in range(256))

    def call(email: str) -> Call:
        fields = sign_in_fields(domain, email, "wrong-one")

        async def sign_in() -> None:
            client = network.client(next(addresses))
            await client.post(ENDUSER + "emailPwdLogin", data=fields)
            await client.aclose()

        return sign_in

    cases = {"known": call("alice@example.com"), "unknown": call("n0one@example.com")}
    report("emailPwdLogin", await measured(cases, rounds))


async def run(rounds: int) -> None:
    """Set the scene, measure, print."""
    with tempfile.TemporaryDirectory() as directory:
        world = await World.open(Path(directory) / "data", OPEN)
        network = Network(app.build(world.center))
        product, domain = await world.product(), await world.domain()
        users = []
        for email in ("alice@example.com", "bob@example.com"):
            who = await world.user(domain, email)
            user = App(network.client(), uid=who.uid)
            await user.sign_in(domain, email)
            users.append(user)
        alice, bob = users
        await world.report(await world.device(product, "FOREIGN"))
        await alice.bind(product.product_key, "FOREIGN", CODE)
        await world.device(product, "NOCODE1")
        gc.disable()
        await devices(world, alice, bob, product.product_key, rounds)
        await accounts(world, network, domain, max(rounds // 10, 20))
        gc.enable()
        await network.close()
        await world.center.close()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
