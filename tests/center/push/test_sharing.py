"""What a member hears of a device, and that the end of the share is the last of it, over v1 and over v2."""

import json

import pytest

from quecbind.wire import mqtt
from tests.center.push.audience import V1, V2, Audience
from tests.center.services.test_ordered_reset import spec_of

USE_S = 100


async def share(audience: Audience, **more) -> str:
    """The stranger becomes a member for `USE_S`; gives the share code."""
    sharing, device = audience.world.center.sharing, audience.device
    now_ms = round(audience.world.clock.now() * 1000)
    end = more.get("expires", now_ms + USE_S * 1000)
    code = await sharing.invite(
        audience.owner, device.product_key, device.device_key, now_ms + 10_000, end, more.get("mark", 1), ""
    )
    await sharing.accept(audience.stranger, code.reveal(), "", "10.1.1.2")
    return code.reveal()


class Member:
    """The stranger's App, whichever protocol it speaks, told of in one way: (type, value or cause)."""

    def __init__(self, audience: Audience, version: type[V1 | V2]) -> None:
        self.audience = audience
        self.app = version(audience)

    async def listen(self) -> "Member":
        await self.app.log_in(self.audience.stranger)
        assert self.subscribes()
        return self

    def subscribes(self) -> bool:
        if isinstance(self.app, V1):
            return self.app.subscribe(self.audience.device) == 1
        return self.app.subscribe(*map(self.audience.topic, ("bus_", "sys_", "onl_"))) == [0, 0, 0]

    def heard(self) -> list[tuple[str, object]]:
        said = self.app.take()
        messages = [
            json.loads(each.payload) if isinstance(each, mqtt.Publish) else each["data"]
            for each in said
            if isinstance(each, mqtt.Publish | dict)
        ]
        return [self._short(message) for message in messages]

    def _short(self, message) -> tuple[str, object]:
        if message["type"] == "ENDUSER":
            data = json.loads(message["data"])
            return "USER-BIND", (data["value"], data.get("invalidCause"))
        return message["type"], message["data"].get("kv")


@pytest.fixture(params=[V1, V2], ids=["v1", "v2"])
def version(request):
    return request.param


async def sweep(audience: Audience) -> None:
    audience.world.center.sharing.sweep()
    await audience.world.center.storage.transact(lambda _: None)


async def test_a_member_hears_the_device_until_the_owner_revokes_and_nothing_after_the_notice(audience, version):
    code = await share(audience)
    member = await Member(audience, version).listen()
    await audience.report(_1=5)

    await audience.world.center.sharing.cancel(audience.owner, code, "")
    await audience.report(_1=6)

    assert member.heard() == [("MATTR", {"1": 5}), ("USER-BIND", (0, 4))]
    assert not member.subscribes()


async def test_a_share_that_ends_by_time_is_silent_from_that_moment_and_told_once(audience, version):
    await share(audience)
    member = await Member(audience, version).listen()

    audience.world.clock.move(USE_S - 0.001)
    await audience.report(_1=5)
    audience.world.clock.move(0.001)
    # Nobody has swept yet, and it is over all the same.
    await audience.report(_1=6)
    assert member.heard() == [("MATTR", {"1": 5})]
    await sweep(audience)
    await sweep(audience)
    await audience.report(_1=7)

    assert member.heard() == [("USER-BIND", (0, 3))]
    assert not member.subscribes()


async def test_what_waits_for_a_member_who_reads_slowly_is_thrown_away_when_the_share_ends(audience, version):
    await share(audience)
    member = await Member(audience, version).listen()
    member.app.line.takes = False
    await audience.report(_1=5)

    audience.world.clock.move(USE_S)
    member.app.line.takes = True
    member.app.subscriber.flush()

    assert member.heard() == []
    assert audience.hub.queued_size == 0


async def test_one_of_two_shares_in_parallel_may_end_without_a_word(audience, version):
    code = await share(audience)
    await share(audience, mark=2, expires=None)
    member = await Member(audience, version).listen()

    await audience.world.center.sharing.cancel(audience.owner, code, "")
    await audience.report(_1=5)

    assert member.heard() == [("MATTR", {"1": 5})]


async def test_a_member_who_leaves_hears_no_more_and_the_owner_goes_on(audience, version):
    code = await share(audience)
    member = await Member(audience, version).listen()
    owner = await V1(audience, "10.1.1.3").log_in(audience.owner)
    owner.subscribe(audience.device)

    await audience.world.center.sharing.leave(audience.stranger, code, "")
    await audience.report(_1=5)

    assert member.heard() == [("USER-BIND", (0, 4))]
    assert [each["data"]["type"] for each in owner.take()] == ["MATTR"]


@pytest.mark.parametrize("how", ["unbind", "reset"])
async def test_a_member_loses_the_device_with_its_owner(audience, version, how):
    await share(audience)
    member = await Member(audience, version).listen()

    if how == "unbind":
        await audience.unbind()
    else:
        device = audience.device
        await audience.world.center.ownership.approve_re_enrolment(
            audience.owner, device.product_key, device.device_key
        )
        await audience.world.enrol(spec_of(audience.world, device))
    await audience.report(_1=5)

    assert member.heard() == [("USER-BIND", (0, 1) if how == "unbind" else (2, 2))]


async def test_a_member_who_becomes_the_next_owner_subscribes_anew(audience, version):
    await share(audience)
    member = await Member(audience, version).listen()
    await audience.unbind()
    await audience.world.report(audience.device)

    await audience.world.bind(audience.stranger, audience.device)
    await audience.report(_1=5)

    # Over v2 a notice comes on a topic, and the subscription to it went with the share.
    gained = [("USER-BIND", (1, None))] if version is V1 else []
    assert member.heard() == [("USER-BIND", (0, 1)), *gained]
    assert member.subscribes()
    await audience.report(_1=6)
    assert member.heard() == [("MATTR", {"1": 6})]
