"""The Developer Center as one object: every service on one storage, made and ended together.

Knows no socket and no file; main gives it a storage and attaches the device links.
"""

from collections.abc import Mapping

from quecbind.center.domain.limits import Counted, HistoryLimits, Limits
from quecbind.center.domain.moment import to_ms
from quecbind.center.services.accounts import Accounts
from quecbind.center.services.auth_keys import AuthKeys
from quecbind.center.services.changes import Changes
from quecbind.center.services.code_check import CodeCheck
from quecbind.center.services.control import Control
from quecbind.center.services.device_data import DeviceData
from quecbind.center.services.enrolling import EnrolmentCaps
from quecbind.center.services.events import LoggedEvents
from quecbind.center.services.gate import DeviceGate
from quecbind.center.services.guesses import Guesses
from quecbind.center.services.links import Links
from quecbind.center.services.models import loaded
from quecbind.center.services.operators import Operators
from quecbind.center.services.ownership import Ownership
from quecbind.center.services.passwords import Passwords
from quecbind.center.services.ports import Clock, DeviceLink, Entropy, Mailer, Storage
from quecbind.center.services.presence import Presence
from quecbind.center.services.records import SigningKey
from quecbind.center.services.registry import Registry
from quecbind.center.services.reports import Reports
from quecbind.center.services.resets import Resets
from quecbind.center.services.rows import Tx
from quecbind.center.services.sharing import Sharing
from quecbind.center.services.tokens import TokenSigner, make_key
from quecbind.center.services.uplink import Uplink

KEY_ID_LENGTH = 12


class Center:
    """All services. Open it on the event loop it is used from; close it once.

    Attributes:
        addresses: where it is listened to, by scheme, and `lan`, the name for the local network; empty when nowhere.
    """

    def __init__(
        self,
        storage: Storage,
        registry: Registry,
        signer: TokenSigner,
        *,
        clock: Clock,
        entropy: Entropy,
        mailer: Mailer,
        limits: Limits,
        history_limits: HistoryLimits,
    ) -> None:
        links, passwords, events = Links(), Passwords(), LoggedEvents()
        self.storage = storage
        self.registry = registry
        self.events = events
        self.changes = Changes()
        self.clock = clock
        auth_keys, resets = AuthKeys(registry, links, entropy), Resets(storage, links, clock)
        guesses, caps = Guesses(limits), EnrolmentCaps(limits)
        self.gate = DeviceGate(
            storage,
            registry,
            links,
            resets,
            caps,
            clock=clock,
            entropy=entropy,
            events=events,
            changes=self.changes,
            limits=limits,
        )
        self.reports = Reports(
            storage, registry, clock=clock, events=events, changes=self.changes, limits=history_limits
        )
        self.uplink = Uplink(storage, registry, self.reports, events=events, changes=self.changes)
        self.presence = Presence(storage, clock=clock, events=events, changes=self.changes)
        self.accounts = Accounts(
            storage,
            signer,
            passwords,
            mailer,
            auth_keys,
            clock=clock,
            entropy=entropy,
            events=events,
            changes=self.changes,
            limits=limits,
        )
        self.ownership = Ownership(
            storage,
            registry,
            auth_keys,
            resets,
            caps,
            clock=clock,
            events=events,
            changes=self.changes,
            entropy=entropy,
            guesses=guesses,
            limits=limits,
        )
        self.device_data = DeviceData(storage, registry, clock)
        self.code_check = CodeCheck(storage, links, guesses, clock)
        self.operators = Operators(
            storage, registry, links, passwords, clock=clock, entropy=entropy, events=events, changes=self.changes
        )
        self.sharing = Sharing(
            storage, auth_keys, clock=clock, entropy=entropy, events=events, changes=self.changes, limits=limits
        )
        self.control = Control(
            storage, registry, links, clock=clock, entropy=entropy, changes=self.changes, limits=limits
        )
        self.addresses: Mapping[str, str] = {}
        self._links = links
        self._passwords = passwords

    @classmethod
    async def open(
        cls,
        storage: Storage,
        *,
        clock: Clock,
        entropy: Entropy,
        mailer: Mailer,
        limits: Limits | None = None,
        history_limits: HistoryLimits | None = None,
    ) -> "Center":
        """Load what log-ins need into memory, and make a key for tokens if there is none yet."""
        registry = Registry()

        def load(tx: Tx) -> list[SigningKey]:
            registry.load(tx.products.all(), tx.devices.all(), loaded(tx.models.all()))
            return tx.signing_keys.all()

        keys = storage.read(load)
        if not keys:
            key = make_key(entropy.text(KEY_ID_LENGTH), to_ms(clock.now()))
            await storage.transact(lambda tx: tx.signing_keys.insert(key))
            keys = [key]
        return cls(
            storage,
            registry,
            TokenSigner(keys),
            clock=clock,
            entropy=entropy,
            mailer=mailer,
            limits=limits or Limits(),
            history_limits=history_limits or HistoryLimits(),
        )

    @property
    def limit_counters(self) -> dict[str, Counted]:
        """What the services count and limit, by the name of the limit."""
        parts = (self.gate, self.accounts, self.ownership, self.sharing, self.control)
        return {name: counter for part in parts for name, counter in part.limit_counters.items()}

    def attach(self, link: DeviceLink) -> None:
        """From now on devices are reached through `link`."""
        self._links.attach(link)

    async def close(self) -> None:
        """Write down what is only in memory and let go of the data. Doing it twice is fine."""
        self.sharing.close()
        self.control.close()
        self.reports.close()
        await self.presence.close()
        self._passwords.close()
        await self.storage.close()
