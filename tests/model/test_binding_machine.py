"""Random lives of three devices and four users, through the real services on SQLite, against a model of them.

Every answer must be the model's, and the invariants hold after every step. Time steps to exactly where something ends,
to the millisecond before and to the one after. The suite runs few examples, always the same; `make model` (--full) runs
150 longer ones that differ from run to run, QUECBIND_MODEL_EXAMPLES=N that many. See docs/model.md.
"""

import asyncio
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant
from hypothesis.stateful import rule as hypothesis_rule

from quecbind.center.domain.connection import Denied
from quecbind.center.services.rights import right_of
from tests.center.services.world import CODE, OPERATOR, OTHER_CODE
from tests.model import listening
from tests.model.lives import NOBODY, Share
from tests.model.machine import APPS, DEVICE_COUNT, MODES, USER_COUNT, Machine, Scene, prepare
from tests.model.run import run_lives
from tests.tables import Row

DEVICES, USERS = st.integers(0, DEVICE_COUNT - 1), st.integers(0, USER_COUNT - 1)
CODES = st.sampled_from([CODE, CODE, OTHER_CODE])
ABOUT = st.sampled_from([-1, 0, 1])  # milliseconds from where something ends
MARKS = st.sampled_from([1, 1, 2, 2, 3, 3, 4])
ENDS = st.sampled_from([None, -1, 0, 60, 61, 300, 900])  # seconds from now, or from another end
TWO_ENDS = st.tuples(*[st.sampled_from([None, 60, 61, 300])] * 2)
ANSWERS: dict[str, list[object]] = {
    "bind": ["bound", "again", 5412, 5460, 5461, 5462, 8429],
    "accept": ["accepted", 5049, 5137, 5139, 5151, 6040, 8429],
    "invite": ["invited", 5133, 5134, 5145, 5153, 5360],
    "invite by name": ["invited"],
    "set share time": ["set", 5041, 5145, 5153],
    "revoke a share": ["ended", 5041],
    "leave a share": ["ended", 5041],
    "enrol": ["secret", 10422, 10431],
    "connect": ["in", "denied", "start over", 10431],
}
ANY = st.integers(0, 99)


COUNTED: list[str] = []


def counted(kind: str, function: Callable[..., None]) -> Callable[..., None]:
    name = function.__name__.replace("_", " ")
    COUNTED.append(f"{kind}: {name}")

    @functools.wraps(function)
    def run(self: Machine, **drawn: Any) -> None:
        self.told[f"{kind}: {name}"] += 1
        function(self, **drawn)

    return run


def rule(**strategies: Any) -> Callable[[Callable[..., None]], Any]:
    """A rule of the machine whose runs are counted."""
    return lambda function: hypothesis_rule(**strategies)(counted("rule", function))


def always(function: Callable[..., None]) -> Any:
    """An invariant whose runs are counted."""
    return invariant()(counted("always", function))


def another(user: int, which: int) -> int:
    """Another user of the same App; any user where there is none."""
    others = [each for each in range(USER_COUNT) if each != user and APPS[each] == APPS[user]]
    return others[which % len(others)] if others else which % USER_COUNT


class BindingMachine(Machine):
    """What devices, users and operators do, in any order, and what holds whatever they do."""

    @initialize()
    def all_are_in_use(self) -> None:
        for device in range(DEVICE_COUNT):
            self.enrol(device)
            self.connect(device)

    # --- devices

    @rule(device=DEVICES, proof=st.sampled_from(["none", "none", "right", "stale"]))
    def a_device_enrols(self, device: int, proof: str) -> None:
        self.enrol(device, proof)

    @rule(device=DEVICES, age=st.sampled_from([0, 0, 0, 1, 2]))
    def a_device_connects(self, device: int, age: int) -> None:
        self.connect(device, age)

    @rule(device=DEVICES, code=CODES, seconds=st.sampled_from([None, 60, 120, 600]))
    def set_code(self, device: int, code: str, seconds: int | None) -> None:
        self.report(device, code, seconds)

    @rule(device=DEVICES)
    def cancel_code(self, device: int) -> None:
        self.report(device, CODE, 0)

    @rule(device=DEVICES)
    def a_device_shows_an_earlier_proof(self, device: int) -> None:
        if self.revive(device):
            self.enrol(device, "right")
            self.connect(device)
            self.enrol(device, "stale")

    @rule(about=ABOUT)
    def enrol_where_an_approval_ends(self, about: int) -> None:
        if self.revive(0):  # its product asks for an approval
            self.approve(0)
            life = self.model.lives[0]
            assert life is not None
            self.move_to(life.approved_until + about)
            self.enrol(0)

    @rule(device=DEVICES, user=USERS, about=ABOUT, is_open=st.booleans())
    def start_over_where_that_ends(self, device: int, user: int, about: int, is_open: bool) -> None:
        owner, life = self.an_owner(device, user), self.model.lives[device]
        if owner is None or life is None or life.is_disabled or len(life.owners) > 1:
            return
        if is_open:
            self.report(device, CODE, 600)
        self.unbind(owner, device, is_init=True)
        self.bind(user, device)
        self.enrol(device)
        self.connect(device)
        present = self.model.lives[device]
        assert present is not None
        self.move_to(present.approved_until + about)
        self.enrol(device)

    # --- owners

    @rule(user=USERS, device=DEVICES, code=CODES)
    def a_user_binds(self, user: int, device: int, code: str) -> None:
        self.bind(user, device, code)

    @rule(user=USERS, device=DEVICES, about=ABOUT)
    def bind_where_a_window_ends(self, user: int, device: int, about: int) -> None:
        self.report(device, CODE, 60)
        life = self.model.lives[device]
        for owner in list(life.owners) if life is not None else []:
            self.unbind(owner, device, is_init=False)
        self.move_to(life.code_end + about if life is not None else 0)
        self.bind(user, device)

    @rule(user=USERS, device=DEVICES)
    def bring_a_wrong_code(self, user: int, device: int) -> None:
        self.report(device, CODE, 60)
        self.bind(user, device, OTHER_CODE)

    @rule(device=DEVICES, user=USERS, about=ABOUT)
    def guess_until_one_may_not_and_where_that_ends(self, device: int, user: int, about: int) -> None:
        self.report(device, CODE, 600)
        ends = []
        for _ in range(4):
            ends.append(self.model.now + 600_000)
            self.bind(user, device, OTHER_CODE)
        self.bind(user, device)
        self.move_to(ends[0] + about)
        self.report(device, CODE, 60)
        self.bind(user, device)

    @rule(device=DEVICES, user=USERS, which=ANY, is_fresh=st.sampled_from([True, True, False]))
    def two_bind_one_after_the_other(self, device: int, user: int, which: int, is_fresh: bool) -> None:
        self.report(device, CODE, 120)
        self.bind(user, device)
        if is_fresh:
            self.report(device, CODE, 120)
        self.bind(another(user, which), device)

    @rule(user=USERS, device=DEVICES)
    def bind_while_disabled(self, user: int, device: int) -> None:
        self.report(device, CODE, 120)
        self.disable_or_enable(device=device, disabled=True)
        self.bind(user, device)
        self.enrol(device)
        self.disable_or_enable(device=device, disabled=False)

    @rule(user=USERS, device=DEVICES, is_init=st.sampled_from([False, False, True]))
    def a_user_unbinds(self, user: int, device: int, is_init: bool) -> None:
        self.unbind(user, device, is_init=is_init)

    @rule(device=DEVICES, which=ANY, is_init=st.sampled_from([False, True]))
    def an_owner_unbinds(self, device: int, which: int, is_init: bool) -> None:
        life = self.model.lives[device]
        if life is not None and life.owners:
            self.unbind(life.owners[which % len(life.owners)], device, is_init=is_init)

    @rule(user=USERS, device=DEVICES, deed=st.sampled_from(["auth key", "other auth key", "name", "shares", "audit"]))
    def only_an_owner_may(self, user: int, device: int, deed: str) -> None:
        ownership, who, keys = self.center.ownership, Scene.users[user], self.keys(device)
        work, refused = {
            "auth key": (ownership.auth_key, 5041),
            "other auth key": (ownership.renew_auth_key, 5041),
            "name": (functools.partial(ownership.rename, name="n"), 5041),
            "shares": (self.center.sharing.shared_with, 5141),
            "audit": (ownership.audit, 5052),
        }[deed]
        got = self.ask(work(who, *keys))
        # A member asks for another key and gets the present one.
        rights = {"owner", "member"} if deed == "other auth key" else {"owner"}
        is_given = self.model.right(user, device) in rights
        self.answer(f"an owner's {deed}", "given" if is_given else refused, got if isinstance(got, int) else "given")

    def unbind(self, user: int, device: int, *, is_init: bool) -> None:
        self.world.sessions.ended.clear()
        got = self.ask(self.center.ownership.unbind(Scene.users[user], *self.keys(device), is_init=is_init))
        expected, told = self.model.unbind(user, device, is_init=is_init)
        self.answer("unbind", expected, got)
        self.heard(device, told)
        life = self.model.lives[device]
        if life is not None and life.owes_reset:
            self.live[device] = None

    # --- shares

    @rule(device=DEVICES, user=USERS, use=ENDS, accept=ENDS, mark=MARKS)
    def anybody_invites(self, device: int, user: int, use: int | None, accept: int | None, mark: int) -> None:
        accept_end = self.model.now + 1000 * (60 if accept is None else accept)
        self.invite(device, Share(user, None, mark, accept_end, None if use is None else accept_end + 1000 * use))

    @rule(device=DEVICES, user=USERS, guest=st.none() | USERS, use=ENDS, mark=MARKS, is_named=st.booleans())
    def an_owner_invites(
        self, device: int, user: int, guest: int | None, use: int | None, mark: int, is_named: bool
    ) -> None:
        owner = self.an_owner(device, user)
        if owner is not None:
            accept_end = self.model.now + 60_000
            use_end = None if use is None else 1000 * use + (self.model.now if is_named else accept_end)
            target = None if not is_named else NOBODY if guest is None else guest
            self.invite(device, Share(owner, target, mark, accept_end, use_end), is_named=is_named)

    @rule(user=USERS, which=ANY)
    def a_user_accepts(self, user: int, which: int) -> None:
        self.accept(user, which % len(self.shares) if self.shares else -1)

    @rule(user=USERS)
    def a_user_accepts_the_last_code(self, user: int) -> None:
        self.accept(user)

    @rule(device=DEVICES, user=USERS, member=USERS, use=ENDS, mark=MARKS)
    def share(self, device: int, user: int, member: int, use: int | None, mark: int) -> None:
        self.a_share(device, user, member, use, mark)

    @rule(device=DEVICES, user=USERS, member=USERS, marks=st.tuples(*[st.integers(1, 3)] * 2), uses=TWO_ENDS)
    def share_twice(
        self, device: int, user: int, member: int, marks: tuple[int, int], uses: tuple[int | None, int | None]
    ) -> None:
        for mark, use in zip(marks, uses, strict=True):
            self.a_share(device, user, member, use, mark)

    @rule(device=DEVICES, user=USERS, member=USERS, uses=TWO_ENDS)
    def share_for_another_time_if_it_is_longer(
        self, device: int, user: int, member: int, uses: tuple[int | None, int | None]
    ) -> None:
        for mark, use in zip((1, 3), uses, strict=True):
            self.a_share(device, user, member, use, mark)

    @rule(device=DEVICES, user=USERS, member=USERS, other=USERS)
    def a_code_is_brought_again(self, device: int, user: int, member: int, other: int) -> None:
        share = self.a_share(device, user, member, None, 1)
        for again in (other if share is None or share.member is None else share.member, other):
            self.accept(again)

    @rule(device=DEVICES, user=USERS, guest=USERS, other=USERS)
    def another_brings_what_is_for_one_user(self, device: int, user: int, guest: int, other: int) -> None:
        owner, count = self.an_owner(device, user), len(self.shares)
        if owner is not None:
            self.invite(device, Share(owner, guest, 1, 0, None), is_named=True)
        if len(self.shares) > count:
            self.accept(other)
            self.accept(guest)

    @rule(first=USERS, second=USERS)
    def one_owner_shares_with_another(self, first: int, second: int) -> None:
        for owner in (first, second):
            self.report(2, CODE, 60)
            self.bind(owner, 2)
        self.invite(2, Share(first, None, 1, self.model.now + 60_000, None))
        self.accept(second)

    @rule(device=DEVICES, user=USERS, member=USERS, about=ABOUT, is_named=st.booleans())
    def accept_where_an_invitation_ends(self, device: int, user: int, member: int, about: int, is_named: bool) -> None:
        owner, count = self.an_owner(device, user), len(self.shares)
        if owner is None or owner == member:
            return
        end = self.model.now + 60_000
        share = Share(owner, member if is_named else None, 1, end, end if is_named else None)
        self.invite(device, share, is_named=is_named)
        if len(self.shares) > count:
            self.move_to(end + about)
            self.accept(member)

    @rule(device=DEVICES, user=USERS, member=USERS, about=ABOUT)
    def use_until_a_share_ends(self, device: int, user: int, member: int, about: int) -> None:
        share = self.a_share(device, user, member, 60, 1)
        if share is not None and share.use_end is not None:
            self.move_to(share.use_end + about)
            self.a_right_is_there_exactly_where_the_model_says()
            self.sweep()

    @rule(which=ANY, user=st.none() | USERS, end=st.sampled_from([-1, 0, 1, 60_000, 120_000]), to=st.booleans())
    def set_share_time(self, which: int, user: int | None, end: int, to: bool) -> None:
        owner = self.an_owner(which % DEVICE_COUNT, 0) if which % 2 == 0 else None
        if owner is not None:
            self.invite(which % DEVICE_COUNT, Share(owner, None, 1, self.model.now + 60_000, None))
            which = -1
        if not self.shares:
            return
        code, device, share = self.shares[which % len(self.shares)]
        user = share.owner if user is None else user
        at = (share.accept_end if to else self.model.now) + end
        got = self.ask(self.center.sharing.set_expiry(Scene.users[user], code, at, ""))
        self.answer("set share time", self.model.set_expiry(user, share, device, at), got or "set")

    @rule(which=ANY, user=st.none() | USERS, as_owner=st.booleans())
    def a_share_is_ended(self, which: int, user: int | None, as_owner: bool) -> None:
        if self.shares:
            number = which % len(self.shares)
            share = self.shares[number][2]
            party = share.owner if as_owner else share.member
            self.end_share(user if user is not None else party or 0, number, as_owner=as_owner)

    @rule(device=DEVICES, user=USERS, member=USERS, by=st.sampled_from(["revoke", "leave", "unbind", "reset"]))
    def share_and_end_it(self, device: int, user: int, member: int, by: str) -> None:
        share = self.a_share(device, user, member, None, 1)
        if share is None or share.member is None:
            return
        if by == "unbind":
            self.unbind(share.owner, device, is_init=False)
        elif by == "reset":
            self.enrol(device, "right")
        else:
            self.end_share(
                share.owner if by == "revoke" else share.member, len(self.shares) - 1, as_owner=by == "revoke"
            )

    @rule()
    def look_what_has_ended(self) -> None:
        self.sweep()

    def a_share(self, device: int, user: int, member: int, use: int | None, mark: int) -> Share | None:
        """An owner invites, and another user of their App accepts; the share, if that came of it."""
        owner, count = self.an_owner(device, user), len(self.shares)
        if owner is None:
            return None
        end = self.model.now + 60_000
        self.invite(device, Share(owner, None, mark, end, None if use is None else end + 1000 * use))
        if len(self.shares) > count:
            self.accept(another(owner, member))
        share = self.shares[-1][2] if len(self.shares) > count else None
        return None if share is None or share.member is None else share

    # --- Apps that do not read for a while

    @rule(user=USERS)
    def an_app_stops_reading(self, user: int) -> None:
        self.apps[user].line.takes = False

    @rule(user=USERS)
    def an_app_reads_again(self, user: int) -> None:
        self.reads_again(user)

    @rule(device=DEVICES, user=USERS, member=USERS, by=st.sampled_from(["revoke", "time", "reset", "nothing"]))
    def a_right_ends_while_its_user_does_not_read(self, device: int, user: int, member: int, by: str) -> None:
        share = self.a_share(device, user, member, 60, 1)
        if share is None or share.member is None:
            return
        member = share.member
        self.reads_again(member)
        self.who_hears_is_who_may()
        self.apps[member].line.takes = False
        self.tell_report(device)
        for app in self.apps:
            app.take("report")
        if by == "revoke":
            self.end_share(share.owner, len(self.shares) - 1, as_owner=True)
        elif by == "reset":
            self.enrol(device, "right")
        elif by == "time":
            assert share.use_end is not None
            self.move_to(share.use_end)
        self.reads_again(member)

    def reads_again(self, user: int) -> None:
        """What waited is said, but nothing about a device that the user has no right to now."""
        app = self.apps[user]
        app.line.takes = True
        app.subscriber.flush()
        app.take("right")
        said = set(app.take("report"))
        for device in range(DEVICE_COUNT):
            if self.client_id(device) in said:
                self.told["push: said late"] += 1
                assert self.model.right(user, device) is not None, "a user hears of a device they have no right to"
        app.subscribed = {device for device in app.subscribed if self.model.right(user, device)}

    # --- operators, time, restarts

    @rule(device=DEVICES)
    def an_operator_approves(self, device: int) -> None:
        self.approve(device)

    def approve(self, device: int) -> None:
        result = self.ask(self.center.operators.approve_re_enrolment(*self.keys(device), OPERATOR))
        self.answer("approve", self.model.approve(device), result if isinstance(result, int) else "approved")

    @rule(device=DEVICES, disabled=st.sampled_from([True, False, False]))
    def disable_or_enable(self, device: int, disabled: bool) -> None:
        operators, life = self.center.operators, self.model.lives[device]
        self.world.sessions.ended.clear()
        result = self.ask(
            (operators.disable_device if disabled else operators.enable_device)(*self.keys(device), OPERATOR)
        )
        done = "disabled" if disabled else "enabled"
        self.answer("operator", 5493 if life is None else done, result if isinstance(result, int) else done)
        if life is not None:
            life.is_disabled = disabled
            if disabled:
                self.live[device] = None
                assert self.was_ended(device)

    @rule(device=DEVICES, sure=st.sampled_from([True, False, False, False]))
    def delete(self, device: int, sure: bool) -> None:
        if not sure:
            return
        life = self.model.lives[device]
        self.world.sessions.ended.clear()
        result = self.ask(self.center.operators.delete_device(*self.keys(device), OPERATOR))
        self.answer("delete", 5493 if life is None else "deleted", result or "deleted")
        assert life is None or self.was_ended(device)
        self.heard(device, life.everybody("removed", 1) if life else [])
        self.model.lives[device] = self.live[device] = None
        self.epochs[device] = 0

    @rule(seconds=st.sampled_from([1, 59, 60, 120, 600, 900]))
    def wait(self, seconds: int) -> None:
        self.move_to(self.model.now + seconds * 1000)

    @rule(which=ANY, about=ABOUT)
    def wait_until_something_ends(self, which: int, about: int) -> None:
        ends = self.model.deadlines()
        if ends:
            self.move_to(ends[which % min(len(ends), 4)] + about)

    @rule(sure=st.booleans())
    def restart(self, sure: bool) -> None:
        if not sure:
            return
        self.run(self.center.close())
        self.open()
        self.live = [None for _ in MODES]
        self.model.guesses = []
        self.told["restart"] += 1

    # --- what holds after every step

    @always
    def devices_and_owners_are_those_of_the_model(self) -> None:
        for device, life in enumerate(self.model.lives):
            view = self.ask(self.center.operators.device(*self.keys(device)))
            if life is None:
                assert view == 5493
                continue
            state = "disabled" if life.is_disabled else "active" if life.is_active else "issued"
            owners = {Scene.users[user].uid for user in life.owners}
            assert (view.state, view.epoch) == (state, life.epoch)
            assert {owner.uid for owner in view.owners} == owners
            assert view.bind_window_end_at == (life.code_end if life.code else None)
            assert view.epoch >= self.epochs[device], "the epoch fell"
            self.epochs[device] = view.epoch
            if MODES[device] != "multi":
                apps = [owner.user_domain for owner in view.owners]
                assert len(apps) == len(set(apps)), "two owners of one App"

    @always
    def a_right_is_there_exactly_where_the_model_says(self) -> None:
        now_ms = self.model.now
        for device in range(DEVICE_COUNT):
            name = self.client_id(device)
            for user, who in enumerate(Scene.users):
                right = self.center.storage.read(lambda tx, u=who, n=name: right_of(tx, u.uid, n, now_ms))
                assert right == self.model.right(user, device)
                listed = self.ask(self.center.ownership.device(who, *self.keys(device)))
                assert (listed == 5052) == (right is None)

    @always
    def shares_are_those_of_the_model(self) -> None:
        now_ms = self.model.now
        for device, life in enumerate(self.model.lives):
            for owner in life.owners if life is not None else []:
                listed = self.run(self.center.sharing.shared_with(Scene.users[owner], *self.keys(device)))
                got = [(each.share.accepting_expires_at, each.share.sharing_expires_at) for each in listed]
                members = [each.member.uid if each.member is not None else None for each in listed]
                mine = [share for share in life.shares if share.owner == owner and share.is_live(now_ms)]
                assert got == [(share.accept_end, share.use_end) for share in mine]
                expected = [None if share.member is None else Scene.users[share.member].uid for share in mine]
                assert members == expected

    @always
    def who_hears_is_who_may(self) -> None:
        for device in range(DEVICE_COUNT):
            self.tell_report(device)
            for user, app in enumerate(self.apps):
                may = self.model.right(user, device) is not None
                if app.line.takes:
                    should = device in app.subscribed and may
                    assert app.take("report") == [self.client_id(device)] * should, "who hears of a device"
                    if not may:
                        app.subscribed.discard(device)
                got = app.subscriber.subscribe(self.client_id(device), {"properties"})
                assert got == ("ok" if may else "no right")
                if may:
                    app.subscribed.add(device)

    def tell_report(self, device: int) -> None:
        self.center.changes.tell([listening.report_of(*self.keys(device), self.client_id(device))])

    @always
    def earlier_secrets_are_dead(self) -> None:
        for device, life in enumerate(self.model.lives):
            # Those that died long ago have been tried often enough.
            dead = self.secrets[device][-4:] if life is None else self.secrets[device][-5:-1]
            for secret in dead:
                assert self.run(self.world.connect(Scene.products[device], secret)) == Denied()

    @always
    def audit_chain_is_whole(self) -> None:
        if self.told["always: audit chain is whole"] % 8 == 0:  # it takes long
            assert self.run(self.center.operators.verify_audit()).problem is None


MUST_COME_UP = [*COUNTED, *(f"{deed}: {answer}" for deed, answers in ANSWERS.items() for answer in answers)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The scene; and one key, which all examples have, is read once, for that takes longer than all the rest."""
    data = tmp_path_factory.mktemp("model") / "data"
    with asyncio.Runner() as runner:
        runner.run(prepare(data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serialization, "load_pem_private_key", functools.cache(serialization.load_pem_private_key))
        yield


@pytest.mark.timeout(3600)
def test_random_lives_go_as_the_model_says(scene: None, row: Row, request: pytest.FixtureRequest) -> None:
    for what, count in run_lives(
        BindingMachine, request, quick=(45, 40), steps=60, must=MUST_COME_UP, least=["bind: bound", "accept: accepted"]
    ):
        row(f"{what}, {count} times", "came up", "came up" if count else "never")


def test_the_document_names_the_rules_and_what_always_holds() -> None:
    text = (Path(__file__).parents[2] / "docs" / "model.md").read_text().partition("## Planted defects")[0]
    documented = {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")}

    assert documented - {"rule", "what always holds"} == {each.partition(": ")[2] for each in COUNTED}
