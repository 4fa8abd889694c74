"""What must happen, worked out without the code under test: devices, users, codes, shares and time in plain values.

Written from the tables of the design, not from the services: where both agree, it is because both follow the tables.
Times are UTC milliseconds. A deed answers with its outcome or the number of a refusal, and with what is told of it.
"""

from dataclasses import dataclass, field

MAX_GUESSES = 3
MAX_PENDING = 2
GUESS_SPAN = 600_000
TOLD_AGAIN = 5000
TOLD_LATE = 15000
REPEAT = 120_000
APPROVAL = 900_000
WEEK = 7 * 24 * 3_600_000
NOBODY = -1

Told = list[tuple[str, int, str, int | None]]
"""(added, removed or reset; the user; owner or member; why it ended): see USER-BIND in the App API."""


@dataclass(eq=False)
class Share:
    """An invitation, and a grant once it has a member. `target`: who may accept, None for anybody."""

    owner: int
    target: int | None
    mark: int
    accept_end: int
    use_end: int | None
    member: int | None = None

    def is_over(self, now: int) -> bool:
        return self.use_end is not None and now >= self.use_end

    def is_live(self, now: int) -> bool:
        return self.is_waiting(now) or (self.member is not None and not self.is_over(now))

    def is_waiting(self, now: int) -> bool:
        return self.member is None and now < self.accept_end and not self.is_over(now)


@dataclass
class Life:
    """One device from its first log-in until an operator deletes it."""

    epoch: int = 1
    is_active: bool = False
    is_disabled: bool = False
    owes_reset: bool = False
    was_owned: bool = False
    owners: list[int] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    code: str | None = None
    code_span: int = 0
    code_end: int = 0
    used_window: tuple[str, int, int] | None = None
    has_reported: bool = False
    used: dict[int, tuple[str, int]] = field(default_factory=dict)
    approved_until: int = 0

    def use_code(self) -> None:
        """It is good once; the device may tell it again because it has not heard that it told it."""
        assert self.code is not None
        self.used_window = self.code, self.code_span, self.code_end
        self.code, self.code_end = None, 0

    def right(self, user: int, now: int) -> str | None:
        if user in self.owners:
            return "owner"
        return "member" if any(s.member == user and not s.is_over(now) for s in self.shares) else None

    def held(self) -> set[int]:
        """Who has accepted something that is still on file."""
        return {share.member for share in self.shares if share.member is not None}

    def everybody(self, word: str, why: int) -> Told:
        """All of them go."""
        owners: Told = [(word, owner, "owner", why) for owner in self.owners]
        return owners + [(word, member, "member", why) for member in self.held()]

    def owner_goes(self, owner: int) -> set[int]:
        """With an owner go the shares they gave; gives who held one."""
        self.owners.remove(owner)
        self.used.pop(owner)
        gone = [share for share in self.shares if share.owner == owner]
        self.shares = [share for share in self.shares if share.owner != owner]
        return {share.member for share in gone if share.member is not None}


@dataclass
class Model:
    """The whole scene. `modes` and `policies` are by device, `apps` the user domain of each user."""

    modes: tuple[str, ...]
    policies: tuple[str, ...]
    apps: tuple[int, ...]
    now: int
    lives: list[Life | None] = field(default_factory=lambda: [None, None, None])
    guesses: list[tuple[str, int, int]] = field(default_factory=list)

    def right(self, user: int, device: int) -> str | None:
        life = self.lives[device]
        return None if life is None else life.right(user, self.now)

    def deadlines(self) -> list[int]:
        """Every moment ahead at which something ends."""
        lives = [life for life in self.lives if life is not None]
        found = {end for life in lives for end in (life.code_end, life.approved_until)}
        found |= {end for life in lives for share in life.shares for end in (share.accept_end, share.use_end or 0)}
        found |= {at + REPEAT for life in lives for _, at in life.used.values()}
        found |= {at + GUESS_SPAN for _, _, at in self.guesses}
        return sorted(end for end in found if end > self.now)

    def guesses_too_often(self, kind: str, user: int) -> bool:
        return sum(g[:2] == (kind, user) and g[2] > self.now - GUESS_SPAN for g in self.guesses) >= MAX_GUESSES

    # Devices

    def enrol(self, device: int, *, proof: bool) -> tuple[object, Told]:
        """What a "0;" log-in gets."""
        life = self.lives[device]
        if life is None:
            self.lives[device] = Life()
            return "secret", []
        if life.is_disabled:
            return 10431, []
        is_approved = self.now < life.approved_until and (life.owes_reset or self.policies[device] == "approve")
        if life.is_active and not (proof or is_approved or self.policies[device] == "open"):
            return 10422, []
        self.lives[device] = Life(epoch=life.epoch + 1)
        return "secret", life.everybody("reset", 2)

    def connect(self, device: int, *, is_present: bool) -> object:
        """What a "1;" log-in gets; `is_present`: with the secret that was issued last."""
        life = self.lives[device]
        if life is None or not is_present:
            return "denied"
        if life.is_disabled:
            return 10431
        if life.owes_reset:
            if life.approved_until - self.now <= APPROVAL // 2:
                life.approved_until = self.now + APPROVAL
            return "start over"
        life.is_active, life.has_reported = True, False
        return "in"

    def report(self, device: int, code: str, seconds: int) -> str:
        """What becomes of a bind code that a connected device tells."""
        life = self.lives[device]
        assert life is not None
        is_first = not life.has_reported
        life.is_active = life.has_reported = True
        if not seconds:
            life.code, life.code_end = None, 0
            return "cancel code"
        span, end = seconds * 1000, self.now + seconds * 1000
        if is_first and life.used_window is not None:
            used, used_span, used_end = life.used_window
            if code == used and span < used_span and used_end - TOLD_LATE <= end <= used_end + TOLD_AGAIN:
                return "tell a used code again"
        life.code, life.code_span, life.code_end = code, span, end
        return "set code"

    # Owners

    def bind(self, user: int, device: int, code: str) -> tuple[object, Told]:
        """What bringing a code gets."""
        if self.guesses_too_often("bind", user):
            return 8429, []
        life = self.lives[device]
        owns = life is not None and user in life.owners
        refused = self._code_refused(life, code)
        if life is not None and owns and refused:
            used, at = life.used[user]
            return ("again" if used == code and self.now < at + REPEAT else refused), []
        if refused == 5462:
            self.guesses.append(("bind", user, self.now))
        if life is None or refused:
            return refused, []
        if owns:
            life.use_code()
            life.used[user] = code, self.now
            return "again", []
        rivals = [owner for owner in life.owners if self.apps[owner] == self.apps[user]]
        if rivals and self.modes[device] == "single":
            return 5412, []
        leaving = rivals if self.modes[device] == "alternate" else []
        members = {member for owner in leaving for member in life.owner_goes(owner)}
        if life.was_owned and not life.owners:
            # It changes hands: a new epoch, in which no approval of the old one counts.
            life.epoch, life.approved_until = life.epoch + 1, 0
        life.owners.append(user)
        life.used[user] = code, self.now
        life.was_owned = True
        life.use_code()
        told: Told = [("removed", owner, "owner", 1) for owner in leaving]
        return "bound", [*told, *self._without(life, members, 1), ("added", user, "owner", None)]

    def _code_refused(self, life: Life | None, code: str) -> int:
        """0 when it is the code on file, in time."""
        if life is None or life.is_disabled or life.owes_reset or life.code is None:
            return 5460
        if self.now >= life.code_end:
            return 5461
        return 0 if life.code == code else 5462

    def unbind(self, user: int, device: int, *, is_init: bool) -> tuple[object, Told]:
        """The number of owners left, or a refusal. `is_init`: the last one wants the device to start over."""
        life = self.lives[device]
        if life is None or user not in life.owners:
            return 5052, []
        members = life.owner_goes(user)
        if is_init and not life.owners:
            life.epoch += 1
            life.owes_reset, life.code, life.code_end, life.approved_until = True, None, 0, 0
            life.used_window = None
        return len(life.owners), [("removed", user, "owner", 1), *self._without(life, members, 1)]

    def approve(self, device: int) -> object:
        """What an approval gets."""
        life = self.lives[device]
        if life is None:
            return 5493
        if self.policies[device] == "locked":
            return 8409
        life.approved_until = self.now + APPROVAL
        return "approved"

    # Shares

    def invite(self, share: Share, device: int, *, is_named: bool) -> object:
        """What an invitation gets that is still to be put on file."""
        if is_named:
            share.accept_end = self.now + WEEK if share.use_end is None else min(self.now + WEEK, share.use_end)
        elif share.accept_end <= self.now:
            return 5145
        elif share.use_end is not None and share.use_end <= share.accept_end:
            return 5153
        if share.use_end is not None and share.use_end <= self.now:
            return 5145
        if share.mark not in {1, 2, 3}:
            return 5133
        if self.right(share.owner, device) != "owner":
            return 5360
        life = self.lives[device]
        assert life is not None
        waiting = [each for each in life.shares if each.owner == share.owner and each.is_waiting(self.now)]
        if len(waiting) >= MAX_PENDING:
            return 5134
        # Those that nobody accepted in time are forgotten with the next invitation of their owner, on whatever device.
        for other in filter(None, self.lives):
            other.shares = [
                each
                for each in other.shares
                if each.owner != share.owner or each.member is not None or each.is_waiting(self.now)
            ]
        life.shares.append(share)
        return "invited"

    def accept(self, user: int, share: Share | None, device: int) -> tuple[object, Told]:
        """What bringing a share code gets."""
        if self.guesses_too_often("share", user):
            return 8429, []
        life = self.lives[device]
        is_known = life is not None and share in life.shares
        if life is None or share is None or not is_known or self.apps[share.owner] != self.apps[user]:
            self.guesses.append(("share", user, self.now))
            return 5137, []
        if share.owner == user:
            return 5139, []
        if share.member == user and not share.is_over(self.now):
            return 6040, []
        if not share.is_waiting(self.now) or share.target not in {None, user}:
            self.guesses.append(("share", user, self.now))
            return 5137, []
        if user in life.owners:
            return 5049, []
        held = [each for each in life.shares if each.member == user and not each.is_over(self.now)]
        if share.mark == 3 and any(not _is_longer(share, each) for each in held):
            return 5151, []
        replaced = [] if share.mark == 2 else held
        life.shares = [each for each in life.shares if each not in replaced]
        share.member = user
        told: Told = [("removed", user, "member", 5)] if replaced else []
        return "accepted", [*told, ("added", user, "member", None)]

    def set_expiry(self, user: int, share: Share, device: int, end: int) -> object:
        """What another end of use gets."""
        if end <= self.now:
            return 5145
        life = self.lives[device]
        if life is None or share not in life.shares or share.owner != user or not share.is_live(self.now):
            return 5041
        if share.member is None and end <= share.accept_end:
            return 5153
        share.use_end = end
        return "set"

    def end_share(self, user: int, share: Share, device: int, *, as_owner: bool) -> tuple[object, Told]:
        """What its owner's revoking gets, or its member's leaving."""
        life = self.lives[device]
        if life is None or share not in life.shares or user != (share.owner if as_owner else share.member):
            return 5041, []
        life.shares.remove(share)
        return "ended", self._without(life, users_of(share), 4)

    def sweep(self) -> list[Told]:
        """What is told of each device when it is looked what has ended by time."""
        found: list[Told] = []
        for life in self.lives:
            gone = [s for s in life.shares if s.member is not None and s.is_over(self.now)] if life else []
            if life is not None:
                life.shares = [share for share in life.shares if share not in gone]
                found.append(self._without(life, {member for share in gone for member in users_of(share)}, 3))
        return found

    def _without(self, life: Life, members: set[int], why: int) -> Told:
        """Those of `members` who have no right any more are told."""
        return [("removed", member, "member", why) for member in members if life.right(member, self.now) is None]


def users_of(share: Share) -> set[int]:
    """Who uses the device by it."""
    return set() if share.member is None else {share.member}


def _is_longer(new: Share, old: Share) -> bool:
    return old.use_end is not None and (new.use_end is None or new.use_end > old.use_end)
