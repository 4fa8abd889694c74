"""A Developer Center on a real database, with one product, one user domain, and a clock that is moved."""

import asyncio
import itertools
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from argon2 import PasswordHasher

from quecbind.center.domain.connection import Accepted
from quecbind.center.domain.ids import Secret, Uid, UserDomain
from quecbind.center.domain.limits import HistoryLimits, Limits
from quecbind.center.domain.moment import to_ms
from quecbind.center.services.accounts import add_user
from quecbind.center.services.center import Center
from quecbind.center.services.records import User
from quecbind.center.services.registry import DeviceEntry
from quecbind.center.services.views import DeviceView, Operator, ProductSpec, ProductView, SignedIn
from quecbind.center.storage.opening import open_center
from quecbind.center.system import SystemEntropy
from quecbind.testing.clock import FakeClock
from quecbind.wire import commands, signing, ttlv
from quecbind.wire.frame import Frame

OPERATOR = Operator("olga", "10.0.0.1")
CODE = "1234567890ABCDEF"
OTHER_CODE = "FEDCBA0987654321"
PASSWORD = "secret1!"
_PASSWORD_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


class Mailbox:
    """A mailer that keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, int]] = []

    async def send_code(self, email: str, code: Secret, email_type: int) -> None:
        self.sent.append((email, code.reveal(), email_type))

    @property
    def last_code(self) -> str:
        return self.sent[-1][1]


class Sessions:
    """The live device links, as far as the services see them."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str]] = []
        self.online: set[str] = set()
        self.sent: list[tuple[str, int, list[tuple[int, object]]]] = []
        # What control delivers: (command, payload, what to call).
        self.delivered: list[tuple[int, bytes, Callable[[bool], None]]] = []
        self.room = 32

    def is_online(self, client_id: str) -> bool:
        return client_id in self.online

    def send(self, client_id: str, command: int, payload: bytes, kind: str = "sys") -> bool:
        if client_id in self.online:
            self.sent.append((client_id, command, ttlv.decode(payload)))
        return client_id in self.online

    def deliver(
        self, client_id: str, command: int, payload: bytes, kind: str, delivery: Callable[[bool], None]
    ) -> bool:
        if client_id not in self.online or len(self.delivered) >= self.room:
            return False
        self.delivered.append((command, payload, delivery))
        return True

    def acknowledge(self, count: int | None = None, is_acknowledged: bool = True) -> list[tuple[int, bytes]]:
        """The device acknowledges the oldest of what it was sent, or its session ends before; gives what that was."""
        taken, self.delivered = self.delivered[:count], self.delivered[len(self.delivered[:count]) :]
        for _, _, delivery in taken:
            delivery(is_acknowledged)
        return [(command, payload) for command, payload, _ in taken]

    def disconnect(self, client_id: str, reason: str) -> None:
        self.online.discard(client_id)
        self.ended.append((client_id, reason))


# What a first start leaves in the data directory, by name.
_made: dict[str, bytes] = {}


async def _lay_out(path: Path) -> None:
    """Make a fresh data directory: truly once, then as a copy, for the tables and keys take longer than most tests."""
    if not _made:
        with tempfile.TemporaryDirectory() as place:
            data = Path(place) / "data"
            center = await open_center(data, clock=FakeClock(), entropy=SystemEntropy(), mailer=Mailbox())
            await center.close()
            _made.update({file.name: file.read_bytes() for file in data.iterdir()})
    path.mkdir(mode=0o700, parents=True)
    for name, content in _made.items():
        (path / name).touch(mode=0o600)
        (path / name).write_bytes(content)


class World:
    """Everything a test of the services needs; devices and users in one line each."""

    def __init__(self, center: Center, clock: FakeClock, mailbox: Mailbox, sessions: Sessions) -> None:
        self.center, self.clock, self.mailbox, self.sessions = center, clock, mailbox, sessions
        self._randoms = (f"{number:016d}" for number in itertools.count())
        self._packet_ids = itertools.count(1)

    @classmethod
    async def open(
        cls,
        path: Path,
        limits: Limits | None = None,
        clock: FakeClock | None = None,
        history_limits: HistoryLimits | None = None,
    ) -> "World":
        clock, mailbox, sessions = clock or FakeClock(), Mailbox(), Sessions()
        if not path.exists():
            await _lay_out(path)
        center = await open_center(
            path,
            clock=clock,
            entropy=SystemEntropy(),
            mailer=mailbox,
            limits=limits,
            history_limits=history_limits,
        )
        center.attach(sessions)
        return cls(center, clock, mailbox, sessions)

    async def product(self, **changes) -> ProductView:
        return await self.center.operators.create_product(ProductSpec(**{"name": "lamp", **changes}), OPERATOR)

    async def domain(self, name: str = "App"):
        return await self.center.operators.create_domain(name, OPERATOR)

    async def user(self, domain, email: str = "ann@example.com") -> SignedIn:
        """Made as an operator makes one, but for the time that a good hash takes."""
        new = User(
            uid=Uid(""),
            user_domain=UserDomain(domain.user_domain),
            email=email,
            password_hash=_PASSWORD_HASH,
            registered_at=to_ms(self.clock.now()),
        )
        who = f"operator {OPERATOR.name}"
        uid = await self.center.storage.transact(lambda tx: add_user(tx, new, who=who, peer=OPERATOR.peer))
        return SignedIn(uid, new.user_domain, "no session")

    async def users(self, domain, count: int) -> list[SignedIn]:
        """Many users, without hashing a password for each."""

        def work(tx):
            template = tx.users.page(0, 1, None)[0][0]
            fields = {name: getattr(template, name) for name in template.__dataclass_fields__}
            fields["user_domain"] = domain.user_domain
            return [tx.users.insert(type(template)(**{**fields, "email": f"u{n}@x.example"})) for n in range(count)]

        uids = await self.center.storage.transact(work)
        return [SignedIn(uid, domain.user_domain, "no session") for uid in uids]

    def random(self) -> str:
        return next(self._randoms)

    async def verdict(self, client_id: str, user_name: bytes | None, password: str | None):
        verdict = self.center.gate.connect(
            client_id, user_name, None if password is None else password.encode(), "10.9.9.9"
        )
        return await verdict if isinstance(verdict, asyncio.Future) else verdict

    async def enrol(self, product, device_key: str = "D1", user_name: bytes | None = None, **changes):
        """What a "0;" log-in gets."""
        password = signing.first_login(
            product.product_key, product.product_secret, device_key, changes.pop("random", self.random()), **changes
        )
        return await self.verdict(f"qd{product.product_key}{device_key}", user_name, password)

    async def connect(self, product, secret: str, device_key: str = "D1", random: str | None = None, **changes):
        """What a "1;" log-in gets."""
        password = signing.login(product.product_secret, secret, random or self.random(), **changes)
        return await self.verdict(f"qd{product.product_key}{device_key}", None, password)

    async def device(self, product, device_key: str = "D1") -> DeviceEntry:
        """A device that has enrolled and connected."""
        enrolled = await self.enrol(product, device_key)
        assert isinstance(enrolled, Accepted)
        assert enrolled.secret is not None
        connected = await self.connect(product, enrolled.secret.reveal(), device_key)
        assert isinstance(connected, Accepted)
        return connected.entry

    async def report(self, entry: DeviceEntry, code: str = CODE, seconds: int | None = 120, **extra) -> None:
        """The device reports a bind code, and gets its PUBACK."""
        fields: list[tuple[int, object]] = [(11, code.encode())]
        if "secret" in extra:
            fields.append((15, extra["secret"]))
        if seconds is not None:
            fields.append((100, seconds))
        await self.frame(entry, commands.BIND_CODE, fields)

    async def frame(self, entry: DeviceEntry, command: int, fields: Iterable[tuple[int, object]] | bytes) -> bool:
        """Send one frame; whether it had to wait for the disk."""
        payload = fields if isinstance(fields, bytes) else ttlv.encode(fields)
        done = self.center.uplink.receive(entry, Frame(next(self._packet_ids), command, payload), self.clock.now())
        if done is None:
            return False
        await done
        return True

    async def bind(self, who: SignedIn, entry: DeviceEntry, code: str = CODE, peer: str = "10.1.1.1"):
        return await self.center.ownership.bind_by_code(who, entry.product_key, entry.device_key, code, "my lamp", peer)

    def changes(self) -> list[object]:
        """What is told from now on to those who want to know."""
        told: list[object] = []
        self.center.changes.listen(told.append)
        return told

    async def look(self, entry: DeviceEntry) -> DeviceView:
        return await self.center.operators.device(entry.product_key, entry.device_key)

    async def owners(self, entry: DeviceEntry) -> list[str]:
        return [owner.uid for owner in (await self.look(entry)).owners]

    async def actions(self) -> list[str]:
        """What the audit log tells, oldest first."""
        # What nobody waits for is written before what is asked for after it.
        await self.center.storage.transact(lambda _: None)
        page = await self.center.operators.audit(1, 100)
        return [entry.action for entry in reversed(page.items)]
