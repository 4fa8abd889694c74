"""The live device links, for services that are made before the access layer: nobody is connected until it attaches."""

from quecbind.center.domain.ids import ClientId
from quecbind.center.services.ports import Delivery, DeviceLink


class Links:
    """Passes on to the `DeviceLink` that was attached, if one was."""

    def __init__(self) -> None:
        self._link: DeviceLink | None = None

    def attach(self, link: DeviceLink) -> None:
        """From now on devices are reached through `link`."""
        self._link = link

    def is_online(self, client_id: ClientId) -> bool:
        """See `DeviceLink`."""
        return self._link is not None and self._link.is_online(client_id)

    def send(self, client_id: ClientId, command: int, payload: bytes, kind: str = "sys") -> bool:
        """See `DeviceLink`."""
        return self._link is not None and self._link.send(client_id, command, payload, kind)

    def deliver(self, client_id: ClientId, command: int, payload: bytes, kind: str, delivery: Delivery) -> bool:
        """See `DeviceLink`."""
        return self._link is not None and self._link.deliver(client_id, command, payload, kind, delivery)

    def disconnect(self, client_id: ClientId, reason: str) -> None:
        """See `DeviceLink`."""
        if self._link is not None:
            self._link.disconnect(client_id, reason)
