"""Whom the hub tells, until when, and what it costs those who take too much."""

import json

import pytest

from quecbind.center.services.changes import RESET, SHARE_CANCELLED, RightChanged, SessionEnded
from tests.center.push.audience import V1, FakeLine


def notices(said):
    data = [each["data"] for each in said]
    assert all((each["type"], each["subtype"]) == ("ENDUSER", "USER-BIND") for each in data)
    return [(told["value"], told.get("invalidCause")) for told in (json.loads(each["data"]) for each in data)]


async def test_the_end_of_a_right_is_the_last_thing_said_about_a_device(audience):
    app = await V1(audience).log_in(audience.owner)
    assert app.subscribe(audience.device) == 1

    await audience.unbind()
    await audience.report(_1=5)

    assert notices(app.take()) == [(0, 1)]


async def test_what_waits_about_a_device_is_thrown_away_when_the_right_ends(audience):
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device)
    app.line.takes = False
    await audience.report(_1=5)
    assert audience.hub.queued_size > 0

    await audience.unbind()
    app.line.takes = True
    app.subscriber.flush()

    assert notices(app.take()) == [(0, 1)]
    assert audience.hub.queued_size == 0


async def test_a_right_that_ends_without_a_word_is_noticed_when_a_message_is_to_be_sent(audience):
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device)
    app.line.takes = False
    await audience.report(_1=5)
    await audience.world.center.storage.transact(lambda tx: tx.owners.delete(audience.device.id, audience.owner.uid))

    app.line.takes = True
    app.subscriber.flush()

    assert app.take() == []
    assert not app.subscriber.is_subscribed(audience.device.client_id)


async def begin_an_epoch_unheard(audience) -> None:
    """As if nobody had told the hub: device and owner are simply those of a later epoch."""
    world, device = audience.world, audience.device
    owner = world.center.storage.read(lambda tx: tx.owners.get(device.id, audience.owner.uid))

    def reset(tx):
        tx.owners.delete_all(device.id)
        now = tx.devices.issue(device.id, tx.devices.get(device.client_id).device_secret, 1)
        tx.devices.set_auth_key(device.id, owner_key)
        fields = {name: getattr(owner, name) for name in owner.__dataclass_fields__}
        tx.owners.insert(type(owner)(**{**fields, "epoch": now.epoch}))

    owner_key = world.center.storage.read(lambda tx: tx.devices.auth_key(device.id))
    await world.center.storage.transact(reset)


async def with_a_result_that_waits(audience) -> V1:
    """An App that sent a command without a subscription, and does not read its result."""
    audience.link.online.add(audience.device.client_id)
    app = await V1(audience).log_in(audience.owner)
    keys = {"productKey": audience.device.product_key, "deviceKey": audience.device.device_key}
    app.say("send", {**keys, "type": "RAW", "raw": "aGk="})
    app.line.takes = False
    audience.link.answer()
    assert audience.hub.queued_size > 0
    return app


async def test_the_result_of_a_command_is_not_said_to_whoever_has_no_right_to_the_device_any_more(audience):
    app = await with_a_result_that_waits(audience)

    await audience.unbind()
    app.line.takes = True
    app.subscriber.flush()

    assert notices(app.take()) == [(0, 1)]
    assert audience.hub.queued_size == 0


async def test_the_result_of_a_command_of_an_earlier_epoch_is_not_said_in_the_next(audience):
    app = await with_a_result_that_waits(audience)
    await begin_an_epoch_unheard(audience)

    assert app.subscriber.subscribe(audience.device.client_id, ["properties"]) == "ok"
    app.line.takes = True
    app.subscriber.flush()

    assert app.take() == []
    assert app.subscriber.is_subscribed(audience.device.client_id)


async def test_the_result_of_a_command_outlives_the_subscription(audience):
    app = await with_a_result_that_waits(audience)
    app.subscriber.subscribe(audience.device.client_id, ["properties"])
    await audience.report(_1=5)

    app.subscriber.unsubscribe(audience.device.client_id, ["properties"])
    app.line.takes = True
    app.subscriber.flush()

    assert [each["cmd"] for each in app.take()] == ["send_ack"]


async def test_a_new_right_in_a_new_epoch_does_not_revive_an_old_subscription(audience):
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device)
    await begin_an_epoch_unheard(audience)

    await audience.report(_1=5)

    assert app.take() == []
    assert app.subscribe(audience.device) == 1
    await audience.report(_1=6)
    assert [each["data"]["data"]["kv"] for each in app.take()] == [{"1": 6}]


async def test_binding_again_needs_a_new_subscription(audience):
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device)
    await audience.unbind()
    await audience.world.report(audience.device)
    await audience.world.bind(audience.owner, audience.device)

    await audience.report(_1=5)

    assert notices(app.take()) == [(0, 1), (1, None)]


@pytest.mark.parametrize(("value", "cause"), [(2, RESET), (0, SHARE_CANCELLED)])
async def test_only_the_user_whose_right_ended_loses_the_subscription(audience, value, cause):
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device)
    device = audience.device

    audience.world.center.changes.tell(
        [
            RightChanged(
                client_id=device.client_id,
                product_key=device.product_key,
                device_key=device.device_key,
                uid=audience.stranger.uid,
                user_domain=audience.stranger.user_domain,
                right="member",
                value=value,
                cause=cause,
            )
        ]
    )
    await audience.report(_1=5)

    assert [each["data"]["type"] for each in app.take()] == ["MATTR"]


async def test_signing_out_ends_the_connections_of_that_sign_in_alone(audience):
    first, second = await V1(audience).log_in(audience.owner), await V1(audience).log_in(audience.owner)
    first.subscribe(audience.device)
    second.subscribe(audience.device)

    await audience.sign_out(first)
    await audience.report(_1=5)

    assert not first.line.is_open
    assert first.take() == []
    assert len(second.take()) == 1
    assert audience.hub.ended_count_by_reason["signed_out"] == 1


async def test_all_connections_end_when_all_sign_ins_of_a_user_do(audience):
    first, second = await V1(audience).log_in(audience.owner), await V1(audience).log_in(audience.owner)

    audience.world.center.changes.tell([SessionEnded(uid=audience.owner.uid, session_id=None)])

    assert not first.line.is_open
    assert not second.line.is_open


async def test_a_sign_in_that_ended_without_a_word_gets_no_message(audience):
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device)
    session_id = app.subscriber.who.session_id
    await audience.world.center.storage.transact(lambda tx: tx.sessions.end(session_id, 1))

    await audience.report(_1=5)

    assert app.take() == []
    assert not app.line.is_open


async def test_an_app_that_does_not_read_is_dropped_and_costs_no_more_than_its_queue(audience):
    audience.new_hub(push_queue_size=4096)
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device)
    app.line.takes = False

    largest = 0
    for number in range(100):
        await audience.report(_1=number)
        largest = max(largest, audience.hub.queued_size)

    assert app.line.was_aborted
    assert largest <= 4096
    assert audience.hub.queued_size == 0
    assert audience.hub.connection_count == audience.hub.subscription_count == 0
    assert audience.hub.ended_count_by_reason == {"slow_reader": 1}


async def test_connections_are_limited_in_total_and_by_address(audience):
    hub = audience.new_hub(max_push_connections=2, max_push_connections_per_address=1)
    first = V1(audience, "10.0.0.1")

    assert hub.admit("10.0.0.1", FakeLine(), first.session.render) is None
    V1(audience, "10.0.0.2")
    assert hub.admit("10.0.0.3", FakeLine(), first.session.render) is None
    assert hub.ended_count_by_reason == {"refused_address": 1, "refused_total": 1}

    first.subscriber.end("closed")
    assert hub.admit("10.0.0.1", FakeLine(), first.session.render) is not None


async def test_connections_are_limited_by_user(audience):
    audience.new_hub(max_push_connections_per_user=1)
    await V1(audience).log_in(audience.owner)
    second = V1(audience)

    assert second.code("login", {"token": await audience.token(audience.owner)}) == 4008
    assert not second.line.is_open
    assert audience.hub.ended_count_by_reason == {"refused_user": 1}


async def test_subscriptions_are_limited_by_connection(audience):
    audience.new_hub(max_push_subscriptions=1)
    world = audience.world
    other = await world.device(audience.product, "D2")
    await world.report(other)
    await world.bind(audience.owner, other)
    app = await V1(audience).log_in(audience.owner)

    assert app.subscribe(audience.device) == 1
    assert app.subscribe(other) == 4027
    assert app.subscribe(audience.device) == 1
