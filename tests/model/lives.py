"""What must happen, worked out without the code under test: devices, users, codes and time in plain values.

Written from the tables of the design, not from the services: where both agree, it is because both follow the tables.
"""

from dataclasses import dataclass, field

MAX_GUESSES = 3
GUESS_SPAN_S = 600
APPROVAL_S = 900


@dataclass
class Life:
    """One device from its first log-in until an operator deletes it."""

    epoch: int = 1
    is_active: bool = False
    is_disabled: bool = False
    was_owned: bool = False
    owners: list[int] = field(default_factory=list)
    code: str | None = None
    code_end: float = 0
    approved_until: float = 0


@dataclass
class Model:
    """The whole scene. `modes` and `policies` are by device, `apps` the user domain of each user."""

    modes: tuple[str, ...]
    policies: tuple[str, ...]
    apps: tuple[int, ...]
    now: float
    lives: list[Life | None] = field(default_factory=lambda: [None, None, None])
    guesses: list[tuple[int, float]] = field(default_factory=list)

    def enrol(self, device: int, *, proof: bool) -> tuple[object, list[int]]:
        """What a "0;" log-in gets, and who loses the device by it."""
        life = self.lives[device]
        if life is None:
            self.lives[device] = Life()
            return "secret", []
        if life.is_disabled:
            return 10431, []
        may = {"open": True, "locked": False, "approve": self.now < life.approved_until}[self.policies[device]]
        if life.is_active and not proof and not may:
            return 10422, []
        self.lives[device] = Life(epoch=life.epoch + 1)
        return "secret", life.owners

    def connect(self, device: int, *, is_present: bool) -> object:
        """What a "1;" log-in gets; `is_present`: with the secret that was issued last."""
        life = self.lives[device]
        if life is None or not is_present:
            return "denied"
        if life.is_disabled:
            return 10431
        life.is_active = True
        return "in"

    def bind(self, user: int, device: int, code: str) -> tuple[object, list[int]]:
        """What bringing a code gets, and who leaves by it."""
        tries = [at for who, at in self.guesses if who == user and at > self.now - GUESS_SPAN_S]
        if len(tries) >= MAX_GUESSES:
            return 8429, []
        life = self.lives[device]
        if life is not None and user in life.owners:
            return "again", []
        if life is None or life.is_disabled or life.code is None:
            return 5460, []
        if self.now >= life.code_end:
            return 5461, []
        if life.code != code:
            self.guesses.append((user, self.now))
            return 5462, []
        rivals = [owner for owner in life.owners if self.apps[owner] == self.apps[user]]
        if rivals and self.modes[device] == "single":
            return 5412, []
        leaving = rivals if self.modes[device] == "alternate" else []
        staying = [owner for owner in life.owners if owner not in leaving]
        if life.was_owned and not staying:
            # It changes hands: a new epoch, in which no approval of the old one counts.
            life.epoch, life.approved_until = life.epoch + 1, 0
        life.owners, life.was_owned = [*staying, user], True
        life.code = None
        return "bound", leaving

    def unbind(self, user: int, device: int) -> object:
        """The number of owners left, or a refusal."""
        life = self.lives[device]
        if life is None or user not in life.owners:
            return 5052
        life.owners.remove(user)
        return len(life.owners)

    def approve(self, device: int) -> object:
        """What an operator's approval gets."""
        life = self.lives[device]
        if life is None:
            return 5493
        if self.policies[device] == "locked":
            return 8409
        life.approved_until = self.now + APPROVAL_S
        return "approved"
