"""Commands of users: who may give them, what is kept for how long, in which order it goes out, when it is gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from quecbind.center.domain.control import Command, Keep
from quecbind.center.domain.limits import Limits
from quecbind.center.services.changes import Controlled
from quecbind.center.services.control import Outcome
from quecbind.center.services.downlink import Downlink, UnsendableError, encode
from quecbind.center.services.errors import Rejected, StorageError
from quecbind.center.services.handed import Handed, NotHanded, Sender
from quecbind.wire import ttlv
from tests.center.domain.power_station import power_station
from tests.center.services.world import OPERATOR, World

RAW, WRITE, READ, STATUS, INFORMATION = 0x0023, 0x0013, 0x0011, 0x0031, 0x0041
NOT_BOUND = "you do not own this device"


class Home:
    """A device, its owner, a member, a stranger, and what the owner is told."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.control = world.center.control
        self.sessions = world.sessions

    @classmethod
    async def open(cls, world: World) -> Home:
        self = cls(world)
        self.domain, self.product = await world.domain(), await world.product()
        self.owner = await world.user(self.domain)
        self.member, self.stranger = await world.users(self.domain, 2)
        self.device = await world.device(self.product)
        await world.report(self.device)
        await world.bind(self.owner, self.device)
        self.told = world.changes()
        return self

    @property
    def keys(self) -> tuple[str, str]:
        return self.device.product_key, self.device.device_key

    async def share(self, seconds: int = 3_600) -> str:
        now_ms = int(self.world.clock.now() * 1000)
        sharing = self.world.center.sharing
        code = await sharing.invite(self.owner, *self.keys, now_ms + 60_000, now_ms + seconds * 1000, 2, "10.0.0.1")
        await sharing.accept(self.member, code.reveal(), "", "10.0.0.2")
        return code.reveal()

    async def comes(self) -> None:
        """The device connects, and takes what is sent to it at once."""
        self.sessions.online.add(self.device.client_id)
        self.world.center.presence.online(self.device, "10.9.9.9")
        await asyncio.sleep(0)

    def goes(self) -> None:
        self.sessions.online.discard(self.device.client_id)
        self.sessions.acknowledge(is_acknowledged=False)
        self.world.center.presence.offline(self.device)

    async def ask(self, command: Command, who: Any = None) -> Outcome:
        (outcome,) = await self.control.batch(who or self.owner, command, [self.keys])
        return outcome

    async def keep(self, data: bytes | dict[str, object], seconds: int = 60, *, covers: bool = False, who: Any = None):
        kept = Keep(seconds, covers)
        if isinstance(data, bytes):
            return await self.ask(Command("raw", raw=data, keep=kept), who)
        return await self.ask(Command("properties", asked=data, keep=kept), who)

    def sent(self) -> list[object]:
        """What the device was sent and has not acknowledged: raw data, or fields."""
        return [plain(command, payload) for command, payload, _ in self.sessions.delivered]

    async def settle(self) -> None:
        """What nobody waits for is written before what is asked for after it."""
        await self.world.center.storage.transact(lambda _: None)

    async def take(self) -> list[object]:
        """The device acknowledges all it was sent; what that was, from the first to the last."""
        found: list[object] = []
        while self.sessions.delivered:
            found += [plain(*each) for each in self.sessions.acknowledge(1)]
        await self.settle()
        return found

    @property
    def kept(self) -> int:
        """How many rows there are, whatever they are worth."""
        tables = self.world.center.storage.read(
            lambda tx: tx.downlinks._connection.execute("SELECT count(*) FROM downlinks").fetchone()
        )
        return int(tables[0])

    @property
    def results(self) -> list[tuple[str, bool]]:
        return [(each.ticket, each.is_acknowledged) for each in self.told if isinstance(each, Controlled)]


def plain(command: int, payload: bytes) -> object:
    return ttlv.decode(payload, parse_float=Decimal) if command == WRITE else payload


def raw(data: bytes) -> Command:
    return Command("raw", raw=data)


def ask_now(home: Home, who: Any, asked: Command | Downlink) -> Handed | NotHanded:
    """What became of it, told before the call returns."""
    told: list[Handed | NotHanded] = []
    home.control.ask(who, home.device.client_id, asked, Sender(), told.append)
    (answer,) = told
    return answer


@pytest.fixture
async def home(world: World) -> Home:
    return await Home.open(world)


# Now


async def test_a_command_for_a_device_that_is_here_is_handed_over_and_has_its_result_with_the_puback(home):
    await home.comes()

    outcome = await home.ask(raw(b"hi"))

    assert (outcome.product_key, outcome.device_key, outcome.sentence) == (*home.keys, "")
    assert home.results == []
    assert home.sessions.acknowledge() == [(RAW, b"hi")]
    assert home.results == [(outcome.ticket, True)]
    assert home.kept == 0


async def test_properties_become_a_write(home):
    await home.comes()

    await home.ask(Command("properties", asked=[{"1": True}, {"2": 5}]))

    assert home.sent() == [[(1, True), (2, 5)]]


async def test_a_device_that_goes_before_its_puback_makes_the_command_fail(home):
    await home.comes()
    outcome = await home.ask(raw(b"hi"))

    home.goes()

    assert home.results == [(outcome.ticket, False)]


async def test_silence_for_half_a_minute_makes_it_fail_once(home):
    await home.comes()
    outcome = await home.ask(raw(b"hi"))

    home.world.clock.move(29)
    home.control.give_up_unanswered()
    assert home.results == []
    home.world.clock.move(1)
    home.control.give_up_unanswered()
    home.sessions.acknowledge()

    assert home.results == [(outcome.ticket, False)]
    assert home.control.under_way_count == 0


async def test_a_device_that_is_away_gets_nothing_that_was_not_to_be_kept(home):
    outcome = await home.ask(raw(b"hi"))
    await home.comes()

    assert (outcome.ticket, outcome.sentence) == ("", "the device is not online")
    assert home.sent() == []
    assert home.kept == 0


async def test_each_device_is_decided_on_its_own(home):
    other = await home.world.device(home.product, "D2")
    await home.comes()

    mine, foreign, none, odd = await home.control.batch(
        home.owner, raw(b"hi"), [home.keys, (other.product_key, "D2"), ("pXXXXX", "D1"), ("?", "")]
    )

    assert mine.ticket
    assert [foreign.sentence, none.sentence, odd.sentence] == [NOT_BOUND] * 3
    assert home.sent() == [b"hi"]


async def test_the_same_device_twice_is_asked_once(home):
    await home.comes()

    assert len(await home.control.batch(home.owner, raw(b"hi"), [home.keys, home.keys])) == 1

    assert home.sent() == [b"hi"]


async def test_a_list_has_to_be_there_and_to_be_short_enough(home):
    with pytest.raises(Rejected) as missing:
        await home.control.batch(home.owner, raw(b"hi"), [])
    with pytest.raises(Rejected) as too_long:
        await home.control.batch(home.owner, raw(b"hi"), [("p", str(n)) for n in range(101)])

    assert (missing.value.code, too_long.value.code) == (5311, 5312)
    assert home.control.limit_counters["max_control_devices"].refused_count == 1


async def test_data_has_a_largest_size(home):
    await home.comes()
    with pytest.raises(Rejected) as refused:
        await home.ask(raw(b"x" * 8_193))
    large = await home.ask(Command("properties", asked={"1": "x" * 8_192}))
    kept = await home.keep({"1": "x" * 8_192})
    fits = await home.ask(raw(b"x" * 8_192))

    assert refused.value.code == 5075
    assert large.sentence == kept.sentence == "the command is too large"
    assert fits.ticket
    assert home.kept == 0
    assert home.control.limit_counters["max_control_size"].refused_count == 3


async def test_whoever_has_no_right_any_more_sends_nothing(home):
    await home.comes()
    await home.world.center.ownership.unbind(home.owner, *home.keys)
    home.sessions.online.add(home.device.client_id)

    assert (await home.ask(raw(b"hi"))).sentence == NOT_BOUND
    assert (await home.keep(b"hi")).sentence == NOT_BOUND
    read = Command("read")
    assert ask_now(home, home.owner, read) == NotHanded("no right")
    assert home.sent() == []
    assert home.kept == 0


async def test_a_member_controls_until_the_share_is_over(home):
    await home.share(seconds=120)
    await home.comes()
    assert (await home.ask(raw(b"hi"), home.member)).ticket

    home.world.clock.move(120)

    assert (await home.ask(raw(b"ho"), home.member)).sentence == NOT_BOUND
    assert home.sent() == [b"hi"]


@pytest.mark.parametrize("command", [0x00B4, 0x00B5, 0x00A3, 0x0111, 0x0113, 0x7010, 0x0012, 0x0024])
async def test_nothing_but_data_goes_to_a_device(home, command):
    await home.comes()

    assert ask_now(home, home.owner, Downlink(command, b"")) == NotHanded("not allowed")
    assert home.sent() == []


def ask_frame(home, command: int, payload: bytes, who: Any = None) -> Any:
    return ask_now(home, who or home.owner, Downlink(command, payload))


ARRAY_ALONE, NO_MEMBERS = b"\0\x01", b"\0\x4c\0\0"


@pytest.mark.parametrize("has_model", [False, True])
@pytest.mark.parametrize(
    ("command", "payload"),
    [
        (WRITE, b""),
        (WRITE, b"\0\x12"),
        (WRITE, ttlv.encode([(2, True)]) + b"\0"),
        (WRITE, b"\0\x17"),
        (WRITE, ARRAY_ALONE),
        (WRITE, ttlv.encode([(6, b"")])),
        (WRITE, ttlv.encode([(9, [(2, b"")])])),
        (WRITE, NO_MEMBERS),
        (WRITE, b"\0\x4c\0\1" * 9 + b"\0\x09"),
        (WRITE, ttlv.encode([(number, True) for number in range(1, 102)])),
        (READ, b"\0"),
        (READ, b"\0\0"),
        (READ, b"\xff\xff"),
        (READ, b"\0\1" * 101),
        (STATUS, b"\0"),
        (INFORMATION, b"\0\1\0\0"),
    ],
)
async def test_a_frame_that_a_device_could_not_read_goes_nowhere(home, has_model, command, payload):
    if has_model:
        await modelled(home)
    await home.comes()

    answer = ask_frame(home, command, payload)

    assert isinstance(answer, NotHanded)
    assert answer.why == "malformed"
    assert home.sessions.delivered == []
    assert ask_frame(home, command, payload, home.stranger) == NotHanded("no right")


@pytest.mark.parametrize(
    ("command", "payload", "sentence"),
    [
        (WRITE, ttlv.encode([(1, 50)]), "battery_percentage can only be read"),
        (WRITE, ttlv.encode([(2, True), (1, 50)]), "battery_percentage can only be read"),
        (WRITE, ttlv.encode([(99, True)]), "99 is no property of this product"),
        (WRITE, ttlv.encode([(20, True)]), "20 is no property of this product"),
        (WRITE, ttlv.encode([(3, 500)]), "target is at most 40"),
        (WRITE, ttlv.encode([(3, Decimal("1.3"))]), "target goes in steps of 0.5"),
        (WRITE, ttlv.encode([(2, 1)]), "ac_switch_hm has another type"),
        (WRITE, ttlv.encode([(3, True)]), "target has another type"),
        (WRITE, ttlv.encode([(5, 1)]), "mode is none of the values the model names"),
        (WRITE, ttlv.encode([(6, 5)]), "label has another type"),
        (WRITE, ttlv.encode([(6, b"\xff")]), "label is a text"),
        (WRITE, ttlv.encode([(6, b"on\0off")]), "label holds a NUL"),
        (WRITE, ttlv.encode([(6, b"123456789")]), "label has at most 8 bytes"),
        (WRITE, ttlv.encode([(8, b"12345")]), "blob has at most 4 bytes"),
        (WRITE, ttlv.encode([(9, [(1, 251), (2, True)])]), "ac_data_output_hm.voltage is at most 250"),
        (WRITE, ttlv.encode([(9, [(1, 5)])]), "ac_data_output_hm.live is missing"),
        (WRITE, ttlv.encode([(9, [(2, True), (2, False)])]), "ac_data_output_hm.live comes twice"),
        (WRITE, ttlv.encode([(9, [(2, True), (3, 1)])]), "ac_data_output_hm has a member the model does not name"),
        (WRITE, ttlv.encode([(9, 5)]), "ac_data_output_hm has another type"),
        (WRITE, ttlv.encode([(10, [(0, 1), (0, 24)])]), "hours[1] is at most 23"),
        (WRITE, ttlv.encode([(10, [(0, 1)] * 4)]), "hours is a list of 1 to 3"),
        (WRITE, ttlv.encode([(10, [(1, 1)])]), "hours has another type"),
        (WRITE, ttlv.encode([(2, True), (2, False)]), "ac_switch_hm comes twice"),
        (WRITE, ttlv.encode([(30, [(31, 0)])]), "blink.times is at least 1"),
        (WRITE, ttlv.encode([(30, True)]), "blink has another type"),
        (WRITE, ttlv.encode([(32, False)]), "restart takes no inputs"),
        (WRITE, ttlv.encode([(30, [(31, 1)]), (2, True)]), "30 is no property of this product"),
        (READ, b"\0\x63", "this is no property of this product"),
        (READ, b"\0\x0c", "pin can only be written"),
    ],
)
async def test_a_frame_passes_through_the_thing_model_like_a_write_by_code(home, command, payload, sentence):
    await modelled(home)
    await home.comes()

    assert ask_frame(home, command, payload) == NotHanded("malformed", sentence)
    assert home.sessions.delivered == []


async def test_a_member_s_frame_writes_no_more_than_a_write_by_code(home):
    await modelled(home)
    await home.share()
    await home.comes()

    assert isinstance(ask_frame(home, WRITE, ttlv.encode([(1, 5)]), home.member), NotHanded)
    assert isinstance(ask_frame(home, WRITE, ttlv.encode([(3, 20)]), home.member), Handed)
    assert home.sent() == [[(3, 20)]]


async def test_a_frame_that_the_model_allows_goes_out(home):
    await modelled(home)
    await home.comes()
    fields = [(2, True), (3, Decimal("-0.5")), (6, b"hi"), (7, 1_700_000_000_000), (8, b"\0\1"),
              (9, [(1, 5), (2, False)]), (10, [(0, 1), (0, 2)])]  # fmt: skip

    assert isinstance(ask_frame(home, WRITE, ttlv.encode(fields)), Handed)
    assert isinstance(ask_frame(home, WRITE, ttlv.encode([(30, [(31, 3)])])), Handed)
    assert isinstance(ask_frame(home, WRITE, ttlv.encode([(32, True)])), Handed)
    assert isinstance(ask_frame(home, READ, b"\0\1\0\2"), Handed)
    assert isinstance(ask_frame(home, READ, b""), Handed)

    assert home.sent() == [fields, [(30, [(31, 3)])], [(32, True)], b"\0\1\0\2", b""]


async def test_without_a_model_a_frame_that_can_be_read_goes_out_and_raw_data_as_it_is(home):
    await home.comes()
    fields = [(99, True), (3, Decimal("-0.5")), (9, [(1, b"\xff")]), (10, [(0, 1), (0, 2)])]
    asked = [(WRITE, ttlv.encode(fields)), (READ, b"\0\x63"), (RAW, b"\xff\0"), (STATUS, b""), (INFORMATION, b"\0\1")]

    assert all(isinstance(ask_frame(home, *each), Handed) for each in asked)

    assert [each[:2] for each in home.sessions.delivered] == asked


async def test_a_frame_has_a_largest_size(home):
    await home.comes()

    assert ask_frame(home, WRITE, b"\0\x0b\x20\x01" + b"x" * 8_193) == NotHanded("too large")


async def test_a_device_that_takes_no_more_is_busy(home):
    await home.comes()
    home.sessions.room = 1
    await home.ask(raw(b"1"))

    outcome = await home.ask(raw(b"2"))

    assert outcome.sentence == "the device takes no more now, try again"
    assert home.sent() == [b"1"]


async def test_no_user_takes_all_the_room_to_a_device(home):
    await home.share()
    await home.comes()

    members = [await home.ask(raw(b"m%d" % number), home.member) for number in range(9)]
    owners = [await home.ask(raw(b"o%d" % number)) for number in range(5)]
    home.sessions.acknowledge()
    again = await home.ask(raw(b"again"), home.member)

    assert [bool(each.ticket) for each in members] == [True] * 8 + [False]
    assert [bool(each.ticket) for each in owners] == [True] * 4 + [False]
    assert again.ticket


async def test_large_commands_go_one_after_the_other(home):
    await home.comes()

    first, second = await home.ask(raw(b"x" * 8_192)), await home.ask(raw(b"y" * 8_192))
    home.sessions.acknowledge()
    third = await home.ask(raw(b"y" * 8_192))

    assert [bool(each.ticket) for each in (first, second, third)] == [True, False, True]


async def test_what_storage_cannot_tell_is_a_failure_of_that_device_alone(home, monkeypatch):
    other = await home.world.device(home.product, "D2")
    await home.comes()
    read = home.world.center.storage.read
    answers = iter([StorageError("no disk"), None, None, None])

    def fails(work):
        error = next(answers)
        if error is not None:
            raise error
        return read(work)

    monkeypatch.setattr(home.world.center.storage, "read", fails)
    failed, sent = await home.control.batch(home.owner, raw(b"hi"), [(other.product_key, "D2"), home.keys])

    assert (failed.sentence, bool(sent.ticket)) == ("the command was not sent", True)


# Kept


@pytest.mark.parametrize("who", ["owner", "member"])
async def test_what_was_kept_later_than_the_clock_shows_waits_for_the_right_time(home, who):
    await home.share()
    right = home.world.clock.now()
    outcome = await home.keep(b"1", who=getattr(home, who))
    home.world.clock.set(right - 3_600)
    await home.comes()
    assert await home.take() == []
    home.goes()
    home.world.clock.set(right)

    await home.comes()

    assert await home.take() == [b"1"]
    assert home.results == [(outcome.ticket, True)]


async def test_what_waits_for_the_right_time_holds_up_nothing_and_can_be_covered(home):
    right = home.world.clock.now()
    await home.keep({"1": 1, "2": 1})
    home.world.clock.set(right - 3_600)
    await home.comes()

    await home.keep({"1": 2}, covers=True)
    assert (await home.ask(raw(b"now"))).ticket
    assert await home.take() == [[(1, 2)], b"now"]
    home.goes()
    home.world.clock.set(right)
    await home.comes()

    assert await home.take() == [[(2, 1)]]


async def test_what_is_kept_goes_out_in_order_on_the_next_connection_and_is_gone_with_its_puback(home):
    tickets = [(await home.keep(data)).ticket for data in (b"1", {"1": 2}, b"3")]
    assert all(tickets)
    assert home.results == []

    await home.comes()

    assert await home.take() == [b"1", [(1, 2)], b"3"]
    assert home.results == [(ticket, True) for ticket in tickets]
    assert home.kept == 0


async def test_what_is_stored_goes_out_only_when_its_user_has_been_answered(home, monkeypatch):
    await home.keep({"1": True})
    await home.comes()
    happened: list[str] = []
    storage = home.world.center.storage
    transact = storage.transact

    def slow(work, applied):
        def later(stored):
            # Committed, and whatever else the loop has to do comes first.
            home.control._kept.send(home.device.client_id)
            happened.append(f"{len(home.sessions.delivered)} sent")
            applied(stored)

        return transact(work, later)

    monkeypatch.setattr(storage, "transact", slow)
    kept = Command("raw", raw=b"hi", keep=Keep(60))
    home.control.ask(home.owner, home.device.client_id, kept, Sender(), lambda _: happened.append("answered"))
    monkeypatch.undo()
    await home.settle()

    assert [*happened, f"{len(home.sessions.delivered)} sent"] == ["1 sent", "answered", "2 sent"]


async def test_what_is_kept_for_a_device_that_is_here_goes_out_at_once(home):
    await home.comes()

    outcome = await home.keep(b"hi")

    assert await home.take() == [b"hi"]
    assert home.results == [(outcome.ticket, True)]
    assert home.kept == 0


async def test_without_a_puback_it_comes_again_on_the_next_connection_and_not_before(home):
    await home.keep(b"hi")
    await home.comes()
    home.world.clock.move(31)
    home.control.give_up_unanswered()
    assert home.sent() == [b"hi"]

    home.goes()
    assert home.results == []
    await home.comes()

    assert await home.take() == [b"hi"]
    assert home.kept == 0


async def test_a_late_puback_counts(home):
    await home.keep(b"hi")
    await home.comes()
    home.world.clock.move(31)
    home.control.give_up_unanswered()

    await home.take()

    assert home.kept == 0


async def test_a_take_over_sends_what_was_not_acknowledged_again(home):
    await home.keep(b"1")
    await home.keep(b"2")
    await home.comes()
    home.sessions.acknowledge(1)

    await home.comes()
    home.sessions.acknowledge(1, is_acknowledged=False)

    assert home.sent() == [b"2"]


async def test_what_was_acknowledged_is_not_sent_again_even_before_that_is_on_disk(home):
    await home.keep(b"hi")
    await home.comes()

    home.sessions.acknowledge()
    home.world.center.presence.online(home.device, "10.9.9.9")
    home.control._kept.send(home.device.client_id)

    assert home.sent() == []


async def test_many_go_out_window_by_window_and_nothing_overtakes_them(home):
    for number in range(40):
        assert (await home.keep(b"%d" % number)).ticket
    await home.comes()
    assert len(home.sent()) == 12

    overtaking = await home.ask(raw(b"now"))
    taken = await home.take()

    assert overtaking.sentence == "the device takes no more now, try again"
    assert taken == [b"%d" % number for number in range(40)]
    assert (await home.ask(raw(b"now"))).ticket
    assert home.kept == 0


async def test_large_ones_go_out_one_after_the_other(home):
    for letter in (b"a", b"b", b"c"):
        await home.keep(letter * 8_000)
    await home.comes()

    assert [len(each) for each in home.sent()] == [8_000]
    assert [each[:1] for each in await home.take()] == [b"a", b"b", b"c"]


async def test_a_device_that_could_take_no_more_gets_the_rest_a_little_later(home):
    for number in range(4):
        await home.keep(b"%d" % number)
    home.sessions.room = 2
    await home.comes()
    assert home.sent() == [b"0", b"1"]

    home.sessions.room = 32
    home.control.give_up_unanswered()

    assert await home.take() == [b"0", b"1", b"2", b"3"]


async def test_what_is_kept_expires(home):
    await home.keep(b"soon", 10)
    await home.keep(b"later", 100)

    home.world.clock.move(10)
    await home.comes()

    assert await home.take() == [b"later"]


async def test_what_has_expired_leaves_its_place(home):
    for number in range(100):
        await home.keep(b"%d" % number, 10)
    assert (await home.keep(b"x")).sentence == "too many commands wait for devices already"

    home.world.clock.move(10)

    assert (await home.keep(b"x")).ticket
    assert home.kept == 1
    assert home.control.count_by_result["expired"] == 100


async def test_a_write_that_covers_takes_the_place_of_the_same_property_only(home):
    await home.keep({"1": 1, "2": 1})
    await home.keep(b"raw")
    await home.keep({"1": 2}, covers=True)
    await home.keep({"3": 3})
    await home.keep(b"raw again", covers=True)

    await home.comes()

    assert await home.take() == [[(2, 1)], [(1, 2)], [(3, 3)], b"raw again"]


async def test_without_covering_every_write_is_sent(home):
    await home.keep({"1": 1})
    await home.keep({"1": 2})

    await home.comes()

    assert await home.take() == [[(1, 1)], [(1, 2)]]


async def test_nobody_covers_what_somebody_else_has_waiting(home):
    await home.share()
    await home.keep({"1": 1})
    await home.keep({"1": 2}, covers=True, who=home.member)

    await home.comes()

    assert await home.take() == [[(1, 1)], [(1, 2)]]


async def test_covering_makes_room_in_a_full_queue(home):
    for number in range(100):
        await home.keep({str(number + 1): 1})

    assert (await home.keep({"1": 2})).sentence == "too many commands wait for devices already"
    assert (await home.keep({"1": 2}, covers=True)).ticket
    assert home.kept == 100


async def test_a_full_queue_refuses_and_changes_nothing_and_fills_nobody_elses(home):
    await home.share()
    for number in range(100):
        await home.keep(b"%d" % number, who=home.member)

    full = await home.keep(b"x", who=home.member)

    assert full.sentence == "too many commands wait for devices already"
    assert home.kept == 100
    assert home.control.limit_counters["max_queued_per_device"].refused_count == 1
    assert (await home.keep(b"owner")).ticket


async def test_a_user_has_a_limit_over_all_devices(tmp_path):
    world = await World.open(tmp_path / "data", Limits(max_queued_per_user=3))
    home = await Home.open(world)
    for number in range(3):
        await home.keep(b"%d" % number)

    assert (await home.keep(b"x")).sentence == "too many commands wait for devices already"
    assert home.control.limit_counters["max_queued_per_user"].refused_count == 1
    await world.center.close()


# With a thing model


async def modelled(home: Home) -> None:
    await home.world.center.operators.import_model(home.device.product_key, power_station(), OPERATOR)


async def test_what_apps_name_by_code_goes_out_by_number(home):
    await modelled(home)
    await home.comes()

    await home.ask(Command("properties", asked=[{"ac_switch_hm": "true"}, {"target": 20.5}]))
    await home.ask(Command("properties", asked={"5": 0}))
    await home.ask(Command("service", asked=[{"blink": {"times": 3}}]))
    await home.ask(Command("read", asked=["battery_percentage", 2]))

    assert home.sent() == [[(2, True), (3, Decimal("20.5"))], [(5, 0)], [(30, [(31, 3)])], b"\0\1\0\2"]


@pytest.mark.parametrize(
    "command",
    [
        Command("properties", asked={"no_such": 1}),
        Command("properties", asked={"battery_percentage": 1}),
        Command("properties", asked={"target": 500}),
        Command("properties", asked={"9999": 1}),
        Command("service", asked={"explode": {}}),
        Command("read", asked=["no_such"]),
    ],
)
@pytest.mark.parametrize("keep", [None, Keep(60)])
async def test_what_the_model_does_not_allow_goes_nowhere_and_strangers_learn_nothing_of_it(home, command, keep):
    await modelled(home)
    await home.comes()

    mine = await home.ask(replace(command, keep=keep))
    theirs = await home.ask(replace(command, keep=keep), home.stranger)

    assert mine.ticket == ""
    assert mine.sentence != NOT_BOUND
    assert theirs.sentence == NOT_BOUND
    assert home.sent() == []
    assert home.kept == 0


async def test_a_property_covers_itself_whether_it_is_named_by_code_or_by_number(home):
    await modelled(home)
    await home.keep({"target": 1, "energy": "0.1000000000001"})
    await home.keep({"3": 2}, covers=True)

    await home.comes()

    assert await home.take() == [[(4, Decimal("0.1000000000001"))], [(3, 2)]]


async def test_a_service_that_was_called_is_covered_by_nothing(home):
    await modelled(home)
    for _ in range(2):
        await home.ask(Command("service", asked={"restart": None}, keep=Keep(60, covers=True)))

    await home.comes()

    assert await home.take() == [[(32, True)]] * 2


# Rights that end


async def test_what_a_user_left_behind_is_never_sent_not_even_to_a_device_they_own_again(home):
    await home.keep(b"old")
    await home.world.center.ownership.unbind(home.owner, *home.keys)
    assert home.kept == 0
    await home.world.report(home.device)
    await home.world.bind(home.owner, home.device)

    await home.comes()

    assert home.sent() == []


async def test_a_right_that_ends_on_the_way_to_the_disk_keeps_nothing(home):
    # Submitted and not committed: what is read meanwhile still shows the owner.
    leaving = home.world.center.storage.transact(lambda tx: tx.owners.delete_all(home.device.id))

    outcome = await home.keep(b"hi")

    await leaving
    assert outcome.sentence == NOT_BOUND
    assert home.kept == 0


async def test_a_reset_takes_what_was_kept_along(home):
    await home.keep(b"old")
    await home.world.center.ownership.approve_re_enrolment(home.owner, *home.keys, "10.0.0.1")
    enrolled = await home.world.enrol(home.product)
    await home.world.connect(home.product, enrolled.secret.reveal())
    assert home.kept == 0
    await home.world.report(home.device)
    await home.world.bind(home.owner, home.device)

    await home.comes()

    assert home.sent() == []


async def test_a_revoked_share_takes_what_was_kept_along_and_leaves_the_owners(home):
    code = await home.share()
    await home.keep(b"member", who=home.member)
    await home.keep(b"owner")

    await home.world.center.sharing.cancel(home.owner, code, "10.0.0.1")

    assert home.kept == 1
    await home.comes()
    assert await home.take() == [b"owner"]


async def test_an_owner_who_leaves_takes_along_what_their_members_had_waiting(home):
    await home.share()
    await home.keep(b"member", who=home.member)

    await home.world.center.ownership.unbind(home.owner, *home.keys)

    assert home.kept == 0


async def test_a_share_that_is_over_sends_nothing_even_when_a_new_one_has_come(home):
    await home.share(seconds=120)
    await home.keep(b"old", 1_000, who=home.member)
    home.world.clock.move(120)
    await home.share()
    await home.keep(b"new", who=home.member)

    await home.comes()

    assert await home.take() == [b"new"]
    assert home.kept == 0


async def test_what_was_kept_survives_the_process(tmp_path):
    world = await World.open(tmp_path / "data")
    home = await Home.open(world)
    await home.keep(b"1")
    await home.keep(b"2")
    await world.center.close()

    again = Home(await World.open(tmp_path / "data", clock=world.clock))
    again.device, again.told = again.world.center.registry.entry(home.device.client_id), []
    await again.comes()

    assert await again.take() == [b"1", b"2"]
    assert again.kept == 0
    await again.world.center.close()


async def test_what_cannot_be_deleted_comes_again_only_on_another_connection(home, monkeypatch):
    await home.keep(b"hi")
    await home.comes()

    def fails(work, applied=None):
        failed = asyncio.get_running_loop().create_future()
        failed.set_exception(OSError("no disk"))
        return failed

    with monkeypatch.context() as broken:
        broken.setattr(home.world.center.storage, "transact", fails)
        home.sessions.acknowledge()
        await asyncio.sleep(0)
    assert home.sent() == []

    home.goes()
    await home.comes()

    assert home.sent() == [b"hi"]


async def test_results_are_counted(home):
    await home.keep(b"kept")
    await home.ask(raw(b"away"))
    await home.comes()
    await home.take()
    await home.ask(raw(b"x"), home.stranger)

    assert home.control.count_by_result == {
        "kept": 1,
        "offline": 1,
        "sent": 1,
        "acknowledged": 1,
        "refused": 1,
        "expired": 0,
    }


async def test_a_ticket_is_random_and_never_the_same(home):
    await home.comes()

    tickets = {(await home.ask(raw(b"%d" % number))).ticket for number in range(8)}

    assert len(tickets) == 8
    assert {len(ticket) for ticket in tickets} == {22}


def test_a_read_names_what_it_wants() -> None:
    assert encode(Command("read", asked=[1, "2"]), None).payload == b"\0\1\0\2"
    assert encode(Command("read"), None).payload == b""


def test_a_service_needs_a_thing_model() -> None:
    with pytest.raises(UnsendableError, match="needs a thing model"):
        encode(Command("service", asked={"go": {}}), None)
