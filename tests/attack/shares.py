"""What owners and members do with shares, over HTTP, in one line each."""

from __future__ import annotations

from typing import Any

from tests.attack.crowd import BINDING, Caller, Device


def _named(device: Device) -> dict[str, object]:
    return {"pk": device.product.key, "dk": device.dk}


def invite(
    owner: Caller, device: Device, *, accepting_ms: int | None = None, ends_ms: int | None = None, cover_mark: int = 2
) -> str:
    """A code for whoever brings it; for ten minutes if nothing else is said."""
    asked = _named(device) | {"coverMark": cover_mark}
    asked["acceptingExpireAt"] = accepting_ms or device.crowd.now_ms() + 600_000
    if ends_ms is not None:
        asked["sharingExpireAt"] = ends_ms
    return _code(owner.call("POST", BINDING + "shareInfo", asked))


def invite_named(owner: Caller, device: Device, **whom: str) -> str:
    """A code for one user."""
    return _code(owner.call("POST", BINDING + "shareByUid", _named(device) | {"coverMark": 2, **whom}))


def _code(answer: dict[str, Any]) -> str:
    assert answer["code"] == 200, answer
    code = answer["data"]
    assert isinstance(code, str)
    return code


def accept(who: Caller, code: object, name: str = "") -> int:
    return who.call("POST", BINDING + "shareDevice", {"shareCode": code, "deviceName": name})["code"]  # type: ignore[no-any-return]


def end(who: Caller, code: str) -> int:
    """The owner ends it."""
    return who.call("DELETE", BINDING + "ownerUserUnshareDevice", shareCode=code)["code"]  # type: ignore[no-any-return]


def shared_with(who: Caller, device: Device) -> tuple[int, list[dict[str, Any]]]:
    answer = who.call("GET", BINDING + "deviceShareUserList", **_named(device))
    return answer["code"], answer["data"]


def members(owner: Caller, device: Device) -> list[str]:
    """The uids of those who have accepted."""
    found = (entry["shareInfo"]["shareUid"] for entry in shared_with(owner, device)[1])
    return [uid for uid in found if uid is not None]


def may_use(who: Caller, device: Device) -> int:
    return who.call("GET", BINDING + "deviceInfo", **_named(device))["code"]  # type: ignore[no-any-return]


def used_by(who: Caller, device: Device) -> dict[str, Any]:
    answer = who.call("GET", BINDING + "deviceInfo", **_named(device))
    assert answer["code"] == 200, answer
    return answer["data"]  # type: ignore[no-any-return]
