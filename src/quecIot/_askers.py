"""Which App user of the Developer Center a read came from, until the script has answered it. No I/O, no clock."""

MAX_ASKERS = 64  # whose reads the script has not answered; the oldest is forgotten


class Askers:
    def __init__(self) -> None:
        self._users: "list[tuple[int, str]]" = []  # packet ids of reads, and whose they are

    def note(self, packet_id: int, user: "str | None") -> None:
        """A read came under this packet id; user: None when it was the Developer Center's own."""
        self.forget(packet_id)
        if user is not None:
            self._users = self._users[1 - MAX_ASKERS :] + [(packet_id, user)]

    def of(self, packet_id: int) -> "str | None":
        for number, user in self._users:
            if number == packet_id:
                return user
        return None

    def forget(self, packet_id: int) -> None:
        self._users = [pair for pair in self._users if pair[0] != packet_id]
