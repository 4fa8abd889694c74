"""The scene of three devices and four users on real services, beside its model: what all rules of the machine need.

Every answer is compared with the model's (`answer`), and so is what is told of a change of rights (`heard`).
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from quecbind.center.domain.connection import Accepted, Denied, StartOver
from quecbind.center.domain.limits import Limits
from quecbind.center.services.changes import RightChanged
from quecbind.center.services.errors import Rejected
from quecbind.testing.clock import FakeClock
from quecbind.wire import signing
from tests.center.services.world import CODE, World
from tests.model import listening, lives
from tests.model.lives import Model, Share

T = TypeVar("T")
# Guesses and pending invitations are the model's; what else slows strangers down would only hide answers from it.
MANY = 10**6
LIMITS = Limits(
    max_guesses_per_user=lives.MAX_GUESSES,
    max_guesses_per_address=MANY,
    max_guesses_per_device=MANY,
    max_guesses_per_product=MANY,
    max_pending_shares=lives.MAX_PENDING,
    max_failed_log_ins_per_device=MANY,
    max_failed_log_ins_per_address=MANY,
    max_enrolments_per_product=MANY,
    max_enrolments_per_address=MANY,
    log_in_rate_per_address=MANY,
    log_in_burst_per_address=MANY,
)
MODES, POLICIES, APPS = ("single", "alternate", "multi"), ("approve", "locked", "open"), (0, 0, 1, 0)
DEVICE_COUNT, USER_COUNT = len(MODES), len(APPS)
SESSION_MS = 25 * 24 * 3_600_000  # a sign-in lasts 30 days
# Where nothing is kept for later, nothing has to reach a disk.
FAST = next((Path(place) for place in ("/dev/shm",) if Path(place).is_dir()), None)


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


class Machine(RuleBasedStateMachine):
    """Devices, users and the center, and the deeds that several rules share."""

    told: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(prefix="quecbind-model-", dir=FAST)
        self.data = Path(self.folder.name) / "data"
        shutil.copytree(Scene.data, self.data)
        self.clock = FakeClock()
        self.model = Model(MODES, POLICIES, APPS, round(self.clock.now() * 1000))
        self.secrets: list[list[str]] = [[] for _ in MODES]
        self.live: list[Any] = [None for _ in MODES]
        self.epochs = [0 for _ in MODES]
        self.shares: list[tuple[str, int, Share]] = []
        self.changes: list[RightChanged] = []
        self.open()

    def run(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self.loop.run_until_complete(wait())

    def open(self) -> None:
        self.world = self.run(World.open(self.data, LIMITS, self.clock))
        self.center = self.world.center
        self.center.changes.listen(lambda change: isinstance(change, RightChanged) and self.changes.append(change))
        self.hub = listening.new_hub(self.world)
        self.sign_in()

    def sign_in(self) -> None:
        """Every user has a new App, which has subscribed to nothing yet."""
        self.signed_in_at = self.model.now
        self.apps = [listening.App(self.hub, who) for who in Scene.users]
        for app in self.apps:
            self.run(app.log_in(self.world))

    def teardown(self) -> None:
        self.run(self.center.close())
        self.loop.close()
        self.folder.cleanup()

    # Answers

    def answer(self, deed: str, expected: object, got: object) -> None:
        self.told[f"{deed}: {expected}" if not isinstance(expected, int) or expected > 99 else deed] += 1
        assert got == expected, deed

    def ask(self, work: Awaitable[Any]) -> Any:
        """The result, or the number of the refusal."""
        try:
            return self.run(work)
        except Rejected as error:
            return error.refused.code

    def heard(self, device: int, expected: lives.Told) -> None:
        """What was told since the last time is this, and each App was told its part and is subscribed no more."""
        told, self.changes = self.changes, []
        index = {user.uid: number for number, user in enumerate(Scene.users)}
        words = ("removed", "added", "reset")
        assert {change.client_id for change in told} <= {self.client_id(device)}
        got = [(words[change.value], index[change.uid], change.right, change.cause) for change in told]
        assert sorted(got, key=repr) == sorted(expected, key=repr), "what is told"
        for user, app in enumerate(self.apps):
            mine = [word for word, whom, *_ in got if whom == user]
            if set(mine) - {"added"}:
                app.subscribed.discard(device)
            if app.line.takes:
                assert len(app.take("right", self.client_id(device))) == len(mine), "an App hears what changes for it"

    # Names

    def keys(self, device: int) -> tuple[str, str]:
        return Scene.products[device].product_key, "D1"

    def client_id(self, device: int) -> str:
        return f"qd{Scene.products[device].product_key}D1"

    def was_ended(self, device: int) -> bool:
        return self.client_id(device) in {name for name, _ in self.world.sessions.ended}

    # Deeds

    def move_to(self, now: int) -> None:
        """Let time pass to exactly this millisecond."""
        if now <= self.model.now:
            return
        self.clock.move((now - self.model.now) / 1000)
        self.clock.set(now / 1000)
        self.model.now = now
        self.told["time passes"] += 1
        if now - self.signed_in_at > SESSION_MS:
            for app in self.apps:
                app.subscriber.end("old")
            self.sign_in()

    def enrol(self, device: int, proof: str = "none") -> None:
        """A "0;" log-in, with a reset proof of the `right` secret, a `stale` one or none."""
        secrets = self.secrets[device]
        known = {"none": None, "right": secrets[-1:], "stale": secrets[-2:-1]}[proof]
        user_name = None
        if known:
            user_name = signing.reset_user_name(signing.reset_key(known[0], "D1"), "R" * 16).encode()
        self.world.sessions.ended.clear()
        verdict = self.run(self.world.enrol(Scene.products[device], user_name=user_name))
        expected, told = self.model.enrol(device, proof=proof == "right" and bool(known))
        deed = {"none": "enrol", "right": "enrol with a reset proof", "stale": "enrol with a stale proof"}[proof]
        self.answer(deed, expected, "secret" if isinstance(verdict, Accepted) else verdict.code)
        self.heard(device, told)
        if isinstance(verdict, Accepted):
            assert verdict.secret is not None
            assert verdict.secret.reveal() not in secrets
            secrets.append(verdict.secret.reveal())
            self.live[device] = verdict.entry
            assert self.was_ended(device), "a session of the earlier secret goes on"

    def connect(self, device: int, age: int = 0) -> None:
        """A "1;" log-in with the secret issued last, or one `age` secrets older."""
        secrets = self.secrets[device]
        secret = secrets[-1 - age] if age < len(secrets) else "x" * 32
        verdict = self.run(self.world.connect(Scene.products[device], secret))
        words = {Accepted: "in", Denied: "denied", StartOver: "start over"}
        got = words.get(type(verdict)) or verdict.code
        self.answer("connect", self.model.connect(device, is_present=age == 0 and bool(secrets)), got)
        if isinstance(verdict, Accepted):
            self.live[device] = verdict.entry

    def revive(self, device: int) -> bool:
        """The device comes back, whatever has happened to it; False when it is kept out."""
        if self.live[device] is None:
            life = self.model.lives[device]
            if life is None:
                self.enrol(device)
            self.connect(device)
            if life is not None and life.owes_reset and not life.is_disabled:
                self.enrol(device)
                self.connect(device)
        return self.live[device] is not None

    def report(self, device: int, code: str, seconds: int | None) -> None:
        """As the access layer does it: whoever is not connected is not heard; the first message proves the secret."""
        if not self.revive(device):
            return
        entry = self.live[device]

        async def send() -> None:
            proven = self.center.gate.used(entry)
            if proven is not None:
                assert await proven
            await self.world.report(entry, code, seconds)

        self.run(send())
        self.told[self.model.report(device, code, 120 if seconds is None else seconds)] += 1

    def bind(self, user: int, device: int, code: str = CODE) -> None:
        life = self.model.lives[device]
        epoch = 0 if life is None else life.epoch
        deserved = life is not None and life.code == code and self.model.now < life.code_end
        result = self.ask(self.center.ownership.bind_by_code(Scene.users[user], *self.keys(device), code, "n", ""))
        got = result if isinstance(result, int) else "bound" if result.is_new else "again"
        expected, told = self.model.bind(user, device, code)
        self.answer("bind", expected, got)
        self.heard(device, told)
        if life is not None and life.epoch != epoch:
            for app in self.apps:  # also of a member who owns it now: a subscription ends with its epoch
                app.subscribed.discard(device)
        assert deserved or got != "bound", "bound without a matching, open, unused window"

    def an_owner(self, device: int, user: int) -> int | None:
        """Somebody who owns the device: `user` if nobody does; None when it is kept out."""
        life = self.model.lives[device]
        if life is None or not life.owners:
            self.report(device, CODE, 120)
            self.bind(user, device)
            life = self.model.lives[device]
        return life.owners[0] if life is not None and life.owners else None

    def invite(self, device: int, share: Share, *, is_named: bool = False) -> None:
        sharing, who, keys = self.center.sharing, Scene.users[share.owner], self.keys(device)
        if is_named:
            uid = "nobody" if share.target in {None, lives.NOBODY} else Scene.users[share.target].uid
            work = sharing.invite_user(who, *keys, uid, "", share.use_end, share.mark, "")
        else:
            work = sharing.invite(who, *keys, share.accept_end, share.use_end, share.mark, "")
        result = self.ask(work)
        expected = self.model.invite(share, device, is_named=is_named)
        if is_named and share.target is not None and APPS[share.target] != APPS[share.owner]:
            share.target = lives.NOBODY
        deed = "invite by name" if is_named else "invite"
        self.answer(deed, expected, result if isinstance(result, int) else "invited")
        if not isinstance(result, int):
            self.shares.append((result.reveal(), device, share))

    def accept(self, user: int, number: int = -1) -> None:
        """Bring one of the codes that were ever given, the last one by default; a wrong one when there is none."""
        code, device, share = self.shares[number] if self.shares else ("no such code", 0, None)
        got = self.ask(self.center.sharing.accept(Scene.users[user], code, "", ""))
        expected, told = self.model.accept(user, share, device)
        self.answer("accept", expected, got or "accepted")
        self.heard(device, told)

    def end_share(self, user: int, number: int, *, as_owner: bool) -> None:
        code, device, share = self.shares[number]
        end = self.center.sharing.cancel if as_owner else self.center.sharing.leave
        got = self.ask(end(Scene.users[user], code, ""))
        expected, told = self.model.end_share(user, share, device, as_owner=as_owner)
        self.answer("revoke a share" if as_owner else "leave a share", expected, got or "ended")
        self.heard(device, told)

    def sweep(self) -> None:
        """Those whose share has ended by time are told, as the center does twice a second."""
        self.center.sharing.sweep()
        self.run(self.center.storage.transact(lambda _: None))
        told, self.changes = self.changes, []
        for device, expected in enumerate(self.model.sweep()):
            self.changes = [change for change in told if change.client_id == self.client_id(device)]
            self.told["a share ends by time"] += len(expected)
            self.heard(device, expected)
