"""Random lives of three devices and three users, through the real services on SQLite, against a model of them.

Every answer must be the model's, and the invariants hold after every step. The suite runs few examples, always the
same; `make model` (--full) runs 150 longer ones that differ from run to run, QUECBIND_MODEL_EXAMPLES=N that many.
"""

import asyncio
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from quecbind.center.domain.connection import Accepted, Complaint, Denied
from quecbind.center.domain.limits import Limits
from quecbind.center.services.changes import RightChanged
from quecbind.center.services.errors import Rejected
from quecbind.center.services.rights import right_of
from quecbind.testing.clock import FakeClock
from quecbind.wire import signing
from tests.center.services.world import CODE, OPERATOR, OTHER_CODE, World
from tests.model.lives import MAX_GUESSES, Model
from tests.tables import Row

T = TypeVar("T")
FULL_EXAMPLES = int(os.environ.get("QUECBIND_MODEL_EXAMPLES", "150"))
# Guesses are the model's; what else slows strangers down would only hide answers from it.
MANY = 10**6
LIMITS = Limits(
    max_guesses_per_user=MAX_GUESSES,
    max_guesses_per_address=MANY,
    max_guesses_per_device=MANY,
    max_failed_log_ins_per_device=MANY,
    max_failed_log_ins_per_address=MANY,
    log_in_rate_per_address=MANY,
    log_in_burst_per_address=MANY,
)
MODES, POLICIES, APPS = ("single", "alternate", "multi"), ("approve", "locked", "open"), (0, 0, 1)
DEVICES = USERS = st.integers(0, 2)
CODES = st.sampled_from([CODE, CODE, OTHER_CODE])


class Scene:
    """What all examples begin with, made once."""

    data: Path
    products: list[Any]
    users: list[Any]


async def prepare(data: Path) -> None:
    world = await World.open(data)
    domains = [await world.domain("App"), await world.domain("Other")]
    Scene.data = data
    Scene.products = [
        await world.product(name=mode, bind_mode=mode, re_enrol=policy)
        for mode, policy in zip(MODES, POLICIES, strict=True)
    ]
    Scene.users = [await world.user(domains[app], f"u{number}@x.example") for number, app in enumerate(APPS)]
    await world.center.close()


class BindingMachine(RuleBasedStateMachine):
    """Rules are what devices, users and operators do; `answer` compares each with the model."""

    told: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(prefix="quecbind-model-")
        self.data = Path(self.folder.name) / "data"
        shutil.copytree(Scene.data, self.data)
        self.clock = FakeClock()
        self.model = Model(MODES, POLICIES, APPS, self.clock.now())
        self.secrets: list[list[str]] = [[], [], []]
        self.live: list[Any] = [None, None, None]
        self.epochs = [0, 0, 0]
        self.heard: list[RightChanged] = []
        self.open()

    def run(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self.loop.run_until_complete(wait())

    def open(self) -> None:
        self.world = self.run(World.open(self.data, LIMITS, self.clock))
        self.world.center.changes.listen(lambda change: isinstance(change, RightChanged) and self.heard.append(change))

    def teardown(self) -> None:
        self.run(self.world.center.close())
        self.loop.close()
        self.folder.cleanup()

    def answer(self, deed: str, expected: object, got: object) -> None:
        self.told[f"{deed}: {expected}" if not isinstance(expected, int) or expected > 99 else deed] += 1
        assert got == expected, deed

    def ask(self, work: Awaitable[Any]) -> Any:
        """The result, or the code of the refusal."""
        try:
            return self.run(work)
        except Rejected as error:
            return error.refused.code

    def changes(self) -> list[tuple[str, int]]:
        """Whose right changed since the last time, and how."""
        heard, self.heard = self.heard, []
        index = {user.uid: number for number, user in enumerate(Scene.users)}
        return [(("removed", "added", "reset")[change.value], index[change.uid]) for change in heard]

    def keys(self, device: int) -> tuple[str, str]:
        return Scene.products[device].product_key, "D1"

    # --- devices

    @initialize()
    def all_are_in_use(self) -> None:
        for device in range(3):
            self.enrol(device, "none")
            self.connect(device, 0)

    @rule(device=DEVICES, proof=st.sampled_from(["none", "none", "right", "stale"]))
    def enrol(self, device: int, proof: str) -> None:
        secrets = self.secrets[device]
        known = {"none": None, "right": secrets[-1:], "stale": secrets[-2:-1]}[proof]
        user_name = None
        if known:
            user_name = signing.reset_user_name(signing.reset_key(known[0], "D1"), "R" * 16).encode()
        self.world.sessions.ended.clear()
        verdict = self.run(self.world.enrol(Scene.products[device], user_name=user_name))
        expected, lost = self.model.enrol(device, proof=proof == "right" and bool(known))
        deed = "reset proof" if proof == "right" else "stale proof" if proof == "stale" else "enrol"
        self.answer(deed, expected, verdict.code if isinstance(verdict, Complaint) else "secret")
        assert sorted(self.changes()) == [("reset", user) for user in sorted(lost)]
        if isinstance(verdict, Accepted):
            assert verdict.secret is not None
            assert verdict.secret.reveal() not in secrets
            secrets.append(verdict.secret.reveal())
            self.live[device] = verdict.entry
            assert self.was_ended(device), "a session of the earlier secret goes on"

    def was_ended(self, device: int) -> bool:
        return Scene.products[device].product_key in "".join(name for name, _ in self.world.sessions.ended)

    @rule(device=DEVICES, age=st.sampled_from([0, 0, 0, 1, 2]))
    def connect(self, device: int, age: int) -> None:
        secrets = self.secrets[device]
        secret = secrets[-1 - age] if age < len(secrets) else "x" * 32
        verdict = self.run(self.world.connect(Scene.products[device], secret))
        got = "in" if isinstance(verdict, Accepted) else "denied" if isinstance(verdict, Denied) else verdict.code
        self.answer("connect", self.model.connect(device, is_present=age == 0 and bool(secrets)), got)
        if isinstance(verdict, Accepted):
            self.live[device] = verdict.entry

    @rule(device=DEVICES, code=CODES, seconds=st.sampled_from([None, 60, 120, 600]))
    def set_code(self, device: int, code: str, seconds: int | None) -> None:
        self.report(device, code, seconds)

    @rule(device=DEVICES)
    def cancel_code(self, device: int) -> None:
        self.report(device, CODE, 0)

    def report(self, device: int, code: str, seconds: int | None) -> None:
        """As the access layer does it: whoever is not connected is not heard; the first message proves the secret."""
        if self.live[device] is None:
            if self.model.lives[device] is None:
                self.enrol(device, "none")
            self.connect(device, 0)
        entry, life = self.live[device], self.model.lives[device]
        if entry is None or life is None:
            return  # it is disabled

        async def send() -> None:
            proven = self.world.center.gate.used(entry)
            if proven is not None:
                assert await proven
            await self.world.report(entry, code, seconds)

        self.run(send())
        life.is_active = True
        seconds = 120 if seconds is None else seconds
        life.code, life.code_end = (code, self.model.now + seconds) if seconds else (None, 0)
        self.told["set code" if seconds else "cancel code"] += 1

    # --- users

    @rule(user=USERS, device=DEVICES, code=CODES)
    def bind(self, user: int, device: int, code: str) -> None:
        life = self.model.lives[device]
        deserved = life is not None and life.code == code and self.model.now < life.code_end
        result = self.ask(
            self.world.center.ownership.bind_by_code(Scene.users[user], *self.keys(device), code, "n", "")
        )
        got = result if isinstance(result, int) else "bound" if result.is_new else "again"
        expected, leaving = self.model.bind(user, device, code)
        self.answer("bind", expected, got)
        assert self.changes() == [("removed", other) for other in leaving] + [("added", user)] * (got == "bound")
        assert deserved or got != "bound", "bound without a matching, open window"

    @rule(user=USERS, device=DEVICES, seconds=st.sampled_from([None, 60, 120]))
    def set_code_and_bind(self, user: int, device: int, seconds: int | None) -> None:
        self.report(device, CODE, seconds)
        self.bind(user, device, CODE)

    @rule(user=USERS, device=DEVICES, late=st.booleans())
    def bring_a_wrong_or_late_code(self, user: int, device: int, late: bool) -> None:
        self.report(device, CODE, 60)
        if late:
            self.wait(60)
        self.bind(user, device, CODE if late else OTHER_CODE)

    @rule(device=DEVICES, first=USERS, second=USERS, is_fresh=st.booleans())
    def two_bind_one_after_the_other(self, device: int, first: int, second: int, is_fresh: bool) -> None:
        self.report(device, CODE, 120)
        self.bind(first, device, CODE)
        if is_fresh:
            self.report(device, CODE, 120)
        self.bind(second, device, CODE)

    @rule(user=USERS, device=DEVICES)
    def bind_while_disabled(self, user: int, device: int) -> None:
        self.report(device, CODE, 120)
        self.disable_or_enable(device, True)
        self.bind(user, device, CODE)
        self.disable_or_enable(device, False)

    @rule(user=USERS, device=DEVICES)
    def unbind(self, user: int, device: int) -> None:
        got = self.ask(self.world.center.ownership.unbind(Scene.users[user], *self.keys(device)))
        expected = self.model.unbind(user, device)
        self.answer("unbind", expected, got)
        assert self.changes() == [("removed", user)] * (expected != 5052)

    # --- operators, time, restarts

    @rule(device=DEVICES)
    def approve(self, device: int) -> None:
        result = self.ask(self.world.center.operators.approve_re_enrolment(*self.keys(device), OPERATOR))
        self.answer("approve", self.model.approve(device), result if isinstance(result, int) else "approved")

    @rule(device=DEVICES, disabled=st.booleans())
    def disable_or_enable(self, device: int, disabled: bool) -> None:
        operators, life = self.world.center.operators, self.model.lives[device]
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

    @rule(device=DEVICES, sure=st.sampled_from([True, False, False]))
    def delete(self, device: int, sure: bool) -> None:
        if not sure:
            return
        life = self.model.lives[device]
        self.world.sessions.ended.clear()
        result = self.ask(self.world.center.operators.delete_device(*self.keys(device), OPERATOR))
        self.answer("delete", 5493 if life is None else "deleted", result or "deleted")
        assert life is None or self.was_ended(device)
        assert sorted(user for _, user in self.changes()) == (sorted(life.owners) if life else [])
        self.model.lives[device] = self.live[device] = None
        self.epochs[device] = 0

    @rule(seconds=st.sampled_from([1, 59, 60, 120, 600, 900]))
    def wait(self, seconds: int) -> None:
        self.clock.move(seconds)
        self.model.now += seconds
        self.told["time passes"] += 1

    @rule()
    def restart(self) -> None:
        self.run(self.world.center.close())
        self.open()
        self.live = [None, None, None]
        self.model.guesses = []
        self.told["restart"] += 1

    # --- what holds after every step

    @invariant()
    def devices_and_owners_are_those_of_the_model(self) -> None:
        for device, life in enumerate(self.model.lives):
            view = self.ask(self.world.center.operators.device(*self.keys(device)))
            if life is None:
                assert view == 5493
                continue
            state = "disabled" if life.is_disabled else "active" if life.is_active else "issued"
            owners = {Scene.users[user].uid for user in life.owners}
            assert (view.state, view.epoch) == (state, life.epoch)
            assert {owner.uid for owner in view.owners} == owners
            window = round(life.code_end * 1000) if life.code else None
            assert view.bind_window_end_at == window
            assert view.epoch >= self.epochs[device], "the epoch fell"
            self.epochs[device] = view.epoch
            if MODES[device] != "multi":
                apps = [owner.user_domain for owner in view.owners]
                assert len(apps) == len(set(apps)), "two owners of one App"
        self.told["invariant: owners, states, windows, epochs"] += 1

    @invariant()
    def a_right_is_there_exactly_for_owners(self) -> None:
        now_ms = round(self.clock.now() * 1000)
        for device, life in enumerate(self.model.lives):
            name = f"qd{Scene.products[device].product_key}D1"
            for number, user in enumerate(Scene.users):
                right = self.world.center.storage.read(lambda tx, u=user, n=name: right_of(tx, u.uid, n, now_ms))
                assert right == ("owner" if life is not None and number in life.owners else None)
                listed = self.ask(self.world.center.ownership.device(user, *self.keys(device)))
                assert (listed == 5052) == (right is None)
        self.told["invariant: no right without an owner"] += 1

    @invariant()
    def earlier_secrets_are_dead(self) -> None:
        for device, life in enumerate(self.model.lives):
            dead = self.secrets[device] if life is None else self.secrets[device][:-1]
            for secret in dead:
                assert self.run(self.world.connect(Scene.products[device], secret)) == Denied()
        self.told["invariant: one live secret"] += 1

    @invariant()
    def audit_chain_is_whole(self) -> None:
        assert self.run(self.world.center.operators.verify_audit()).problem is None
        self.told["invariant: audit chain"] += 1


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("model") / "data"
    with asyncio.Runner() as runner:
        runner.run(prepare(data))


@pytest.mark.timeout(3600)
def test_random_lives_go_as_the_model_says(scene: None, row: Row, request: pytest.FixtureRequest) -> None:
    is_full = request.config.getoption("full") or "QUECBIND_MODEL_EXAMPLES" in os.environ
    BindingMachine.told.clear()
    run_state_machine_as_test(
        BindingMachine,
        settings=settings(
            max_examples=FULL_EXAMPLES if is_full else 25,
            stateful_step_count=60 if is_full else 40,
            derandomize=not is_full,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink] if is_full else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    for what, count in sorted(BindingMachine.told.items()):
        row(f"{what}, {count} times", "as the model says", "as the model says")
    for code in ("bound", "again", 5412, 5460, 5461, 5462, *([8429] if is_full else [])):
        row(f"bind: {code} came up", True, BindingMachine.told[f"bind: {code}"] > 0)
