"""Sharing on the App API (app-api.md B3): invite, accept, end, list.

Takes parameters to the sharing service and its answers back; times are UTC milliseconds on the way in and out.
"""

from typing import Self

import msgspec

from quecbind.center.domain import refusal, sharing
from quecbind.center.http.app_call import AppCall, Endpoint
from quecbind.center.http.app_objects import text_time
from quecbind.center.http.parameters import Parameters
from quecbind.center.services.errors import Rejected
from quecbind.center.services.sharing import SharedWith

_INVITED, _ACCEPTED = 0, 1


class ShareInfo(msgspec.Struct, rename="camel", kw_only=True):
    """An invitation or a grant. `shareStatus`: 0 not accepted yet, 1 accepted."""

    share_id: int
    pk: str
    dk: str
    share_code: str
    share_status: int
    owner_uid: str
    share_uid: str | None
    cover_mark: int
    accepting_expire_at: str | None
    accepting_expire_at_ts: int
    sharing_expire_at: str | None
    sharing_expire_at_ts: int | None
    share_time: str | None
    share_time_ts: int
    accept_time: str | None
    accept_time_ts: int | None
    failure_cause: str | None = None


class MemberInfo(msgspec.Struct, rename="camel"):
    """Who accepted."""

    uid: str
    nike_name: str
    email: str


class ShareEntry(msgspec.Struct, rename="camel"):
    """One row of the list that an owner reads."""

    share_info: ShareInfo
    user_info: MemberInfo | None

    @classmethod
    def of(cls, shared: SharedWith, product_key: str, device_key: str) -> Self:
        """The share as Apps read it. Who was invited by name is not told before they accept: they may not exist."""
        share, member = shared.share, shared.member
        is_accepted = share.accepted_at is not None
        return cls(
            ShareInfo(
                share_id=share.id,
                pk=product_key,
                dk=device_key,
                share_code=share.code.reveal(),
                share_status=_ACCEPTED if is_accepted else _INVITED,
                owner_uid=share.owner_uid,
                share_uid=share.member_uid if is_accepted else None,
                cover_mark=share.cover_mark,
                accepting_expire_at=text_time(share.accepting_expires_at),
                accepting_expire_at_ts=share.accepting_expires_at,
                sharing_expire_at=text_time(share.sharing_expires_at),
                sharing_expire_at_ts=share.sharing_expires_at,
                share_time=text_time(share.created_at),
                share_time_ts=share.created_at,
                accept_time=text_time(share.accepted_at),
                accept_time_ts=share.accepted_at,
            ),
            None if member is None else MemberInfo(member.uid, member.nickname, member.email),
        )


async def invite(call: AppCall) -> str:
    """A share code for whoever brings it."""
    who, take = await call.signed_in(), call.parameters
    code = await call.center.sharing.invite(
        who,
        take.text("pk"),
        take.text("dk"),
        _time(take, "acceptingExpireAt"),
        _time(take, "sharingExpireAt"),
        _cover_mark(take),
        call.peer,
    )
    return code.reveal()


async def invite_user(call: AppCall) -> str:
    """A share code for one user."""
    who, take = await call.signed_in(), call.parameters
    code = await call.center.sharing.invite_user(
        who,
        take.text("pk"),
        take.text("dk"),
        take.text("shareUid"),
        take.text("email"),
        _time(take, "sharingExpireAt"),
        _cover_mark(take),
        call.peer,
    )
    return code.reveal()


async def accept(call: AppCall) -> None:
    """Use the device that a code was given for."""
    who, take = await call.signed_in(), call.parameters
    await call.center.sharing.accept(who, take.text("shareCode"), take.text("deviceName"), call.peer)


async def set_expiry(call: AppCall) -> None:
    """Let a share end at another moment."""
    who, take = await call.signed_in(), call.parameters
    expires = _time(take, "sharingExpireAt")
    if expires is None:
        raise Rejected(refusal.TIMESTAMP_FORMAT)
    await call.center.sharing.set_expiry(who, take.text("shareCode"), expires, call.peer)


async def cancel(call: AppCall) -> None:
    """End a share one has given."""
    who = await call.signed_in()
    await call.center.sharing.cancel(who, call.parameters.text("shareCode"), call.peer)


async def leave(call: AppCall) -> None:
    """Give up a share one holds."""
    who = await call.signed_in()
    await call.center.sharing.leave(who, call.parameters.text("shareCode"), call.peer)


async def shared_with(call: AppCall) -> list[ShareEntry]:
    """What one has given for a device."""
    who, take = await call.signed_in(), call.parameters
    product_key, device_key = take.text("pk"), take.text("dk")
    found = await call.center.sharing.shared_with(who, product_key, device_key)
    return [ShareEntry.of(each, product_key, device_key) for each in found]


async def rename(call: AppCall) -> None:
    """Name a shared device, for the caller alone."""
    who, take = await call.signed_in(), call.parameters
    await call.center.sharing.rename(who, take.text("shareCode"), take.text("deviceName"), call.peer)


def _time(take: Parameters, name: str) -> int | None:
    """UTC milliseconds; what is no number is a time that nobody can mean."""
    text = take.text(name)
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else -1


def _cover_mark(take: Parameters) -> int:
    text = take.text("coverMark")
    if not text:
        return sharing.REPLACE
    return int(text) if text in {"1", "2", "3"} else 0


_BINDING = "/v2/binding/enduserapi"

ENDPOINTS = (
    Endpoint("POST", _BINDING + "/shareInfo", invite),
    Endpoint("POST", _BINDING + "/shareByUid", invite_user),
    Endpoint("POST", _BINDING + "/shareDevice", accept),
    Endpoint("PUT", _BINDING + "/setShareTime", set_expiry),
    Endpoint("DELETE", _BINDING + "/ownerUserUnshareDevice", cancel),
    Endpoint("DELETE", _BINDING + "/shareUserUnshareDevice", leave),
    Endpoint("GET", _BINDING + "/deviceShareUserList", shared_with),
    Endpoint("PUT", _BINDING + "/changeShareDeviceName", rename),
)
