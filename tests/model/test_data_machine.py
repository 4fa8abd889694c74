"""Who sees what of a device's data, over random lives of one device and three users, against a model of it.

After every step each user's last values, status and history are exactly what the model says, a stranger's are refused.
The suite runs few examples, always the same; `make model` (--full) more and longer ones, which differ from run to run.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from quecbind.center.domain.limits import HistoryLimits
from quecbind.center.services.errors import Rejected
from quecbind.testing.clock import FakeClock
from quecbind.wire import commands
from tests.center.services.world import OPERATOR, World
from tests.model.run import run_lives
from tests.tables import Row

T = TypeVar("T")
USERS, PROPERTIES = st.integers(0, 2), st.integers(1, 3)
WAITING_S = 600
MAX_ROWS = 5
TSL = {"properties": [{"id": n, "code": f"p{n}", "dataType": "INT"} for n in (1, 2, 3)]}


@dataclass
class Told:
    """A value: when it was told, and from when on it is shown."""

    value: int
    at: float
    shown_from: float


@dataclass
class Data:
    """What should be there: holds by user, values by property, the owners' history."""

    owners: dict[int, float] = field(default_factory=dict)
    shares: dict[tuple[int, int], float] = field(default_factory=dict)  # (owner, member): since
    values: dict[int, Told] = field(default_factory=dict)
    status: dict[int, Told] = field(default_factory=dict)
    history: list[tuple[float, int, int]] = field(default_factory=list)
    was_owned: bool = False  # in this epoch

    def report(self, number: int, value: int, now: float) -> None:
        self.values[number] = Told(value, now, now)
        if self.owners:
            self.history = [*self.history, (now, number, value)][-MAX_ROWS:]

    def bind(self, user: int, now: float) -> None:
        if user in self.owners:
            return
        if not self.owners:
            if self.was_owned:
                self.status = {}  # its next life begins with who binds it
            for told in (*self.values.values(), *self.status.values()):
                if told.at >= now - WAITING_S:
                    told.shown_from = now
        self.owners[user] = now
        self.was_owned = True

    def leave(self, user: int) -> None:
        self.owners.pop(user, None)
        self.shares = {pair: at for pair, at in self.shares.items() if pair[0] != user}
        if not self.owners:
            self.forget()

    def forget(self) -> None:
        self.values, self.history = {}, []

    def reset(self) -> None:
        self.status = {}
        self.owners, self.shares, self.was_owned = {}, {}, False
        self.forget()

    def say(self, number: int, value: int, now: float) -> None:
        self.status[number] = Told(value, now, now)

    def sees(self, user: int) -> tuple[dict[str, str], dict[str, int]] | None:
        holds = [at for (_, member), at in self.shares.items() if member == user]
        holds += [self.owners[user]] if user in self.owners else []
        if not holds:
            return None
        since = min(holds)
        return (
            {f"p{n}": str(told.value) for n, told in self.values.items() if told.shown_from >= since},
            {str(n): told.value for n, told in self.status.items() if told.shown_from >= since},
        )

    def remembers(self, user: int) -> list[int] | None:
        since = self.owners.get(user)
        return None if since is None else [value for at, _, value in reversed(self.history) if at >= since]


class Scene:
    """What all examples begin with, made once."""

    data: Path
    product: Any
    users: list[Any]


async def prepare(data: Path) -> None:
    world = await World.open(data)
    domain = await world.domain()
    Scene.data = data
    Scene.product = await world.product(bind_mode="multi", re_enrol="open")
    await world.center.operators.import_model(Scene.product.product_key, TSL, OPERATOR)
    Scene.users = [await world.user(domain, f"u{number}@x.example") for number in range(3)]
    await world.center.close()


class DataMachine(RuleBasedStateMachine):
    """Every deed takes a second, so that no two happen at one moment."""

    told: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(prefix="quecbind-data-")
        self.path = Path(self.folder.name) / "data"
        shutil.copytree(Scene.data, self.path)
        self.clock = FakeClock()
        self.model = Data()
        self.count = 0
        self.open()

    def run(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self.loop.run_until_complete(wait())

    def ask(self, work: Awaitable[Any]) -> Any:
        try:
            return self.run(work)
        except Rejected as error:
            return error.refused.code

    def open(self) -> None:
        self.world = self.run(
            World.open(self.path, clock=self.clock, history_limits=HistoryLimits(max_history_rows=MAX_ROWS))
        )
        self.entry = self.world.center.registry.entry(f"qd{Scene.product.product_key}D1")

    def teardown(self) -> None:
        self.run(self.world.center.close())
        self.loop.close()
        self.folder.cleanup()

    @property
    def keys(self) -> tuple[str, str]:
        return Scene.product.product_key, "D1"

    def deed(self, name: str) -> float:
        self.told[name] += 1
        self.clock.move(1)
        return self.clock.now()

    @initialize()
    def it_is_in_use(self) -> None:
        self.entry = self.run(self.world.device(Scene.product))

    @precondition(lambda self: self.model.owners or not self.model.was_owned)
    @rule(number=PROPERTIES)
    def report(self, number: int) -> None:
        now = self.deed("report")
        self.count += 1
        self.run(self.world.frame(self.entry, commands.TSL_REPORT, [(number, self.count)]))
        self.model.report(number, self.count, now)

    @rule(number=PROPERTIES, value=st.integers(0, 1))
    def say(self, number: int, value: int) -> None:
        now = self.deed("status")
        if not self.model.owners:
            # For up to five minutes a device without an owner is not heard to say the same again.
            self.count += 1
            value = self.count
        self.run(self.world.frame(self.entry, commands.STATUS_REPORT, [(number, value)]))
        self.model.say(number, value, now)

    @rule(user=USERS)
    def bind(self, user: int) -> None:
        now = self.deed("bind")
        self.run(self.world.report(self.entry))
        self.run(self.world.bind(Scene.users[user], self.entry))
        self.model.bind(user, now)

    @precondition(lambda self: self.model.owners)
    @rule(data=st.data())
    def unbind(self, data: st.DataObject) -> None:
        self.deed("unbind")
        user = data.draw(st.sampled_from(sorted(self.model.owners)))
        self.run(self.world.center.ownership.unbind(Scene.users[user], *self.keys))
        self.model.leave(user)

    @precondition(lambda self: self.model.owners)
    @rule(data=st.data(), member=USERS)
    def share(self, data: st.DataObject, member: int) -> None:
        now = self.deed("share")
        owner = data.draw(st.sampled_from(sorted(self.model.owners)))
        sharing = self.world.center.sharing
        end = round(now * 1000) + 60_000
        code = self.run(sharing.invite(Scene.users[owner], *self.keys, end, None, 1, "10.1.1.1"))
        accepted = self.ask(sharing.accept(Scene.users[member], code.reveal(), "", "10.1.1.2"))
        assert (accepted is None) == (member not in self.model.owners)
        if accepted is None:
            # A new share takes the place of those the member had.
            self.model.shares = {pair: at for pair, at in self.model.shares.items() if pair[1] != member}
            self.model.shares[owner, member] = now

    @rule()
    def reset(self) -> None:
        self.deed("reset")
        self.entry = self.run(self.world.device(Scene.product))
        self.model.reset()

    @rule(seconds=st.sampled_from([60, WAITING_S]))
    def wait(self, seconds: int) -> None:
        self.clock.move(seconds)

    @rule()
    def restart(self) -> None:
        self.told["restart"] += 1
        self.run(self.world.center.close())
        self.open()

    @invariant()
    def everybody_sees_what_is_theirs_and_nothing_else(self) -> None:
        data = self.world.center.device_data
        for number, user in enumerate(Scene.users):
            shown = self.ask(data.attributes(user, *self.keys))
            got = (
                shown if isinstance(shown, int) else ({value.code: value.text for value in shown.values}, shown.status)
            )
            wanted = self.model.sees(number)
            assert got == (5052 if wanted is None else wanted)
            page = self.ask(data.history(user, *self.keys, page_size=100))
            past = page if isinstance(page, int) else [int(*entry.values.values()) for entry in page.items]
            remembered = self.model.remembers(number)
            assert past == (5052 if remembered is None else remembered)
            self.told["refused" if wanted is None else "shown" if any(wanted) else "nothing to show"] += 1


LEAST = ["shown", "refused", "nothing to show"]
MUST_COME_UP = [*LEAST, "report", "status", "bind", "unbind", "share", "reset", "restart"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("data") / "data"
    with asyncio.Runner() as runner:
        runner.run(prepare(data))


@pytest.mark.timeout(3600)
def test_random_lives_show_what_the_model_says(scene: None, row: Row, request: pytest.FixtureRequest) -> None:
    for what, count in run_lives(DataMachine, request, quick=(20, 30), steps=50, must=MUST_COME_UP, least=LEAST):
        row(
            f"data: {what}, {count} times",
            "came up, as the model says",
            "came up, as the model says" if count else "never",
        )
