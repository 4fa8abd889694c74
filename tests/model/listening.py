"""One App of each user on the push room: subscribed to whatever it may have, on a line that keeps what it is sent."""

from quecbind.center.domain.limits import PushLimits
from quecbind.center.services.changes import Change, Reported, RightChanged
from quecbind.center.services.push import Hub, Subscriber
from quecbind.center.services.views import SignedIn
from quecbind.wire import commands
from tests.center.push.audience import FakeLine, FakeLink
from tests.center.services.world import World


class App:
    """`subscribed`: the devices, by number, that it should hear of."""

    def __init__(self, hub: Hub, who: SignedIn) -> None:
        self.who = who
        self.line = FakeLine()
        self.subscribed: set[int] = set()
        admitted = hub.admit("10.1.1.1", self.line, self._render)
        assert admitted is not None
        self.subscriber: Subscriber = admitted

    async def log_in(self, world: World) -> None:
        user = world.center.storage.read(lambda tx: tx.users.get(self.who.uid))
        assert user is not None
        tokens = await world.center.accounts._open_session(user, "10.1.1.1")
        assert self.subscriber.log_in(tokens.access_token)[0] == "ok"

    def take(self, kind: str, client_id: str | None = None) -> list[str]:
        """The devices, by client id, of what was said of that kind, and about that device if one is named, so far."""
        taken = [text for text in self.line.written if text.startswith(f"{kind} {client_id or ''}")]
        self.line.written = [text for text in self.line.written if text not in taken]
        return [text.partition(" ")[2] for text in taken]

    def _render(self, change: Change, _now_ms: int, _name: str) -> list[str]:
        if isinstance(change, RightChanged):
            return [f"right {change.client_id}"]
        return [f"report {change.client_id}"] if isinstance(change, Reported) else []


def new_hub(world: World) -> Hub:
    center = world.center
    limits = PushLimits()
    return Hub(center.storage, center.accounts, FakeLink(), center.changes, clock=world.clock, limits=limits)


def report_of(product_key: str, device_key: str, client_id: str) -> Reported:
    """What is told when the device reports a property."""
    return Reported(
        client_id=client_id,  # type: ignore[arg-type]
        product_key=product_key,  # type: ignore[arg-type]
        device_key=device_key,  # type: ignore[arg-type]
        command=commands.TSL_REPORT,
        packet_id=1,
        payload=b"",
    )
