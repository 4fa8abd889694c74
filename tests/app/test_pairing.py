"""From "somewhere near me" to "mine": the real App API, a network in memory, a clock that is slept on."""

import base64
import hmac

import pytest

from quecbind.app.errors import NoBindCodeError, NothingFoundError, PairingError, RefusedError, WrongPinError
from quecbind.app.lan import FoundDevice
from quecbind.app.pairing import Bound, Step, bind_nearby
from quecbind.testing.network import MemoryDevice, MemoryNetwork
from quecbind.wire import commands, frame, lan
from tests.app.conftest import Scene
from tests.center.services.world import CODE, OTHER_CODE

DEVICE_KEY = "D1"


class Nearby:
    """bind_nearby with everything a test needs at hand."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.clock = scene.world.clock
        self.lamp = MemoryDevice(scene.product.product_key, DEVICE_KEY, bind_code=CODE)
        self.network = MemoryNetwork(self.clock, self.lamp)
        self.steps: list[Step] = []

    async def bind(self, device_key: str | None = DEVICE_KEY, deadline_s: float = 60.0) -> Bound:
        return await bind_nearby(
            self.scene.app,
            device_key=device_key,
            device_name="Lamp",
            deadline_s=deadline_s,
            network=self.network,
            clock=self.clock,
            tell=self.steps.append,
        )

    def names(self) -> list[str]:
        return [step.name for step in self.steps]


@pytest.fixture
def nearby(signed_in: Scene) -> Nearby:
    return Nearby(signed_in)


async def test_a_device_whose_code_is_there_is_bound_step_by_step(nearby: Nearby) -> None:
    await nearby.scene.device_with_code(DEVICE_KEY, CODE)

    bound = await nearby.bind()

    assert bound.device.device_key == DEVICE_KEY
    assert nearby.names() == ["searching", "found", "code", "allowed", "bound"]
    assert [one.name for one in (await nearby.scene.app.devices()).devices] == ["Lamp"]


async def test_the_app_waits_for_a_device_that_is_slower_to_report(nearby: Nearby) -> None:
    entry = await nearby.scene.world.device(nearby.scene.product, DEVICE_KEY)
    sleep, slept = nearby.clock.sleep, []

    async def sleep_until_third(seconds: float) -> None:
        slept.append(seconds)
        await sleep(seconds)
        if len(slept) == 3:
            await nearby.scene.world.report(entry, CODE)

    nearby.clock.sleep = sleep_until_third  # type: ignore[method-assign]
    await nearby.bind()

    assert slept == [2.0, 2.0, 2.0]
    assert nearby.names().count("waiting") == 1


async def test_a_code_that_is_never_reported_ends_at_the_deadline_with_5460(nearby: Nearby) -> None:
    await nearby.scene.world.device(nearby.scene.product, DEVICE_KEY)
    started = nearby.clock.monotonic()

    with pytest.raises(RefusedError) as refused:
        await nearby.bind(deadline_s=20)

    assert refused.value.code == 5460
    assert nearby.clock.monotonic() - started <= 20


async def test_a_device_that_opens_its_window_later_is_waited_for(nearby: Nearby) -> None:
    await nearby.scene.device_with_code(DEVICE_KEY, CODE)
    nearby.lamp.bind_code = None
    searches = []

    def open_at_third() -> None:
        searches.append(1)
        if len(searches) == 3:
            nearby.lamp.bind_code = CODE

    nearby.network.on_discover = open_at_third
    await nearby.bind()

    assert nearby.names() == ["searching", "found", "no_code", "code", "allowed", "bound"]


async def test_a_window_that_stays_closed_is_304(nearby: Nearby) -> None:
    nearby.lamp.bind_code = None

    with pytest.raises(NoBindCodeError) as error:
        await nearby.bind(deadline_s=10)

    assert error.value.code == 304


async def test_nobody_there_is_said_after_the_deadline(nearby: Nearby) -> None:
    nearby.lamp.is_on = False
    started = nearby.clock.monotonic()

    with pytest.raises(NothingFoundError):
        await nearby.bind(deadline_s=10)

    assert nearby.clock.monotonic() - started == pytest.approx(10)


async def test_without_a_name_the_only_device_that_offers_a_code_is_taken(nearby: Nearby) -> None:
    await nearby.scene.device_with_code(DEVICE_KEY, CODE)
    nearby.network.devices.append(MemoryDevice("p99xyz", "OTHER", "192.0.2.20"))

    bound = await nearby.bind(device_key=None)

    assert bound.device.device_key == DEVICE_KEY


async def test_without_a_name_two_devices_that_offer_a_code_are_not_guessed_between(nearby: Nearby) -> None:
    nearby.network.devices.append(MemoryDevice("p99xyz", "OTHER", "192.0.2.20", bind_code=OTHER_CODE))

    with pytest.raises(PairingError, match="name one of them: .*OTHER"):
        await nearby.bind(device_key=None)


async def test_an_impostor_with_another_code_does_not_keep_the_user_from_the_device(nearby: Nearby) -> None:
    await nearby.scene.device_with_code(DEVICE_KEY, CODE)
    impostor = MemoryDevice(nearby.lamp.product_key, DEVICE_KEY, "192.0.2.66", bind_code=OTHER_CODE)
    nearby.network.devices.insert(0, impostor)

    bound = await nearby.bind(device_key=None)

    assert bound.device.address == nearby.lamp.address


async def test_a_device_that_pairs_as_another_than_it_announced_is_refused(nearby: Nearby) -> None:
    nearby.lamp.answer = frame.encode(
        1, commands.PROVISION_ANSWER, lan.provision_answer(nearby.lamp.product_key, "D2", CODE)
    )

    with pytest.raises(PairingError, match="another one"):
        await nearby.bind(deadline_s=5)


async def test_a_device_that_answers_with_junk_is_an_error_at_the_deadline(nearby: Nearby) -> None:
    nearby.lamp.answer = b"junk" * 2000

    with pytest.raises(PairingError, match="too much"):
        await nearby.bind(deadline_s=5)


async def test_a_platform_that_refuses_is_not_asked_again(nearby: Nearby) -> None:
    await nearby.scene.device_with_code(DEVICE_KEY, OTHER_CODE)

    with pytest.raises(RefusedError) as refused:
        await nearby.bind()

    assert refused.value.code == 5462
    assert "waiting" not in nearby.names()


async def test_a_device_of_somebody_else_is_refused(nearby: Nearby) -> None:
    world, domain = nearby.scene.world, nearby.scene.domain
    entry = await nearby.scene.device_with_code(DEVICE_KEY, CODE)
    await world.bind(await world.user(domain, "bob@example.com"), entry)
    await world.report(entry, CODE)

    with pytest.raises(RefusedError) as refused:
        await nearby.bind()

    assert refused.value.code == 5412
    assert nearby.names()[-1] == "allowed"


async def test_ones_own_device_that_was_reset_out_of_reach_is_bound_anew_once_it_is_back(nearby: Nearby) -> None:
    world = nearby.scene.world
    entry = await nearby.scene.device_with_code(DEVICE_KEY, OTHER_CODE)
    await nearby.scene.app.bind_by_code(entry.product_key, DEVICE_KEY, OTHER_CODE, "of before")
    secret, sleep, slept = entry.device_secret.encode(), nearby.clock.sleep, []

    async def sleep_until_third(seconds: float) -> None:
        slept.append(seconds)
        await sleep(seconds)
        if len(slept) == 3:
            nonce = world.random()
            key = hmac.digest(secret, f"rst;{DEVICE_KEY}".encode(), "sha256")
            proof = base64.b64encode(hmac.digest(key, nonce.encode(), "sha256")).decode()
            back = await world.enrol(nearby.scene.product, DEVICE_KEY, f"rst;{nonce};{proof}".encode())
            connected = await world.connect(nearby.scene.product, back.secret.reveal(), DEVICE_KEY)
            await world.report(connected.entry, CODE)

    nearby.clock.sleep = sleep_until_third  # type: ignore[method-assign]
    await nearby.bind()

    assert nearby.names() == ["searching", "found", "code", "yours", "waiting", "bound"]
    assert slept == [2.0, 2.0, 2.0]
    assert [one.name for one in (await nearby.scene.app.devices()).devices] == ["Lamp"]


async def test_ones_own_device_in_its_window_is_success_and_stays_as_it_was(nearby: Nearby) -> None:
    entry = await nearby.scene.device_with_code(DEVICE_KEY, OTHER_CODE)
    first = await nearby.scene.app.bind_by_code(entry.product_key, DEVICE_KEY, OTHER_CODE, "of before")
    await nearby.scene.world.report(entry, CODE)

    bound = await nearby.bind()

    assert bound.binding == first
    assert nearby.names()[-2:] == ["yours", "bound"]
    assert "yours already" in nearby.steps[-2].sentence
    assert [one.name for one in (await nearby.scene.app.devices()).devices] == ["of before"]


async def test_a_device_that_is_shared_with_the_user_is_judged_by_its_code(nearby: Nearby) -> None:
    world, app, domain = nearby.scene.world, nearby.scene.app, nearby.scene.domain
    entry = await nearby.scene.device_with_code(DEVICE_KEY, OTHER_CODE)
    bob = await world.user(domain, "bob@example.com")
    await world.bind(bob, entry, OTHER_CODE)
    end = round(world.clock.now() * 1000) + 60_000
    code = await world.center.sharing.invite(bob, entry.product_key, DEVICE_KEY, end, None, 1, "")
    await app.accept_share(code.reveal())
    await world.report(entry, CODE)

    with pytest.raises(RefusedError) as refused:
        await nearby.bind()

    assert refused.value.code == 5412
    assert nearby.names()[-1] == "yours"
    assert "shared with you" in nearby.steps[-1].sentence


async def test_no_step_shows_the_bind_code(nearby: Nearby) -> None:
    await nearby.scene.device_with_code(DEVICE_KEY, CODE)

    bound = await nearby.bind()

    assert CODE not in repr(nearby.steps) + repr(bound)


class PinnedNetwork(MemoryNetwork):
    """A network that pairs with a PIN: those at `honest` addresses know it."""

    honest: tuple[str, ...] = ()
    asked = 0

    async def pair(self, device: FoundDevice, seconds: float) -> lan.Pairing:
        self.asked += 1
        if device.address not in self.honest:
            raise WrongPinError(9)
        return lan.Pairing(True, device.product_key, device.device_key, CODE)


async def test_a_wrong_pin_is_tried_once(nearby: Nearby) -> None:
    network = nearby.network = PinnedNetwork(nearby.clock, nearby.lamp)

    with pytest.raises(WrongPinError):
        await nearby.bind()

    assert network.asked == 1


async def test_somebody_who_claims_to_be_the_device_and_refuses_the_pin_keeps_nobody_from_it(nearby: Nearby) -> None:
    await nearby.scene.device_with_code(DEVICE_KEY, CODE)
    liar = MemoryDevice(nearby.lamp.product_key, DEVICE_KEY, address="192.0.2.66")
    network = nearby.network = PinnedNetwork(nearby.clock, liar, nearby.lamp)
    network.honest = (nearby.lamp.address,)

    bound = await nearby.bind(None)

    assert bound.device.address == nearby.lamp.address
    assert network.asked == 2
