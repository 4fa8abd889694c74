"""The operator API for user domains, users, and the access keys of operators."""

from http import HTTPStatus

from quecbind.center.http.operation import Operation, OperatorCall
from quecbind.center.http.operator_bodies import (
    NewAccessKey,
    NewDomain,
    NewUser,
    PageQuery,
    UserQuery,
)
from quecbind.center.services.views import (
    AccessKeyView,
    DomainView,
    Page,
    UserView,
)


async def create_domain(call: OperatorCall[NewDomain, None]) -> DomainView:
    """Make a user domain."""
    body = call.body
    return await call.center.operators.create_domain(
        body.name, call.operator, body.user_domain, body.user_domain_secret
    )


async def list_domains(call: OperatorCall[None, PageQuery]) -> Page[DomainView]:
    """User domains, oldest first."""
    return await call.center.operators.domains(call.query.page, call.query.page_size)


async def create_user(call: OperatorCall[NewUser, None]) -> UserView:
    """Make a user."""
    body = call.body
    return await call.center.operators.create_user(body.email, body.user_domain, body.password, call.operator)


async def list_users(call: OperatorCall[None, UserQuery]) -> Page[UserView]:
    """Users."""
    return await call.center.operators.users(call.query.page, call.query.page_size, call.query.user_domain)


async def disable_user(call: OperatorCall[None, None]) -> UserView:
    """Shut a user out."""
    return await call.center.operators.disable_user(call.path["uid"], call.operator)


async def enable_user(call: OperatorCall[None, None]) -> UserView:
    """Let them in again."""
    return await call.center.operators.enable_user(call.path["uid"], call.operator)


async def create_access_key(call: OperatorCall[NewAccessKey, None]) -> AccessKeyView:
    """Make an access key."""
    return await call.center.operators.create_access_key(call.body.name, call.operator)


async def list_access_keys(call: OperatorCall[None, PageQuery]) -> Page[AccessKeyView]:
    """Access keys, oldest first."""
    return await call.center.operators.access_keys(call.query.page, call.query.page_size)


async def revoke_access_key(call: OperatorCall[None, None]) -> None:
    """End an access key."""
    await call.center.operators.revoke_access_key(call.path["key_id"], call.operator)


OPERATIONS = (
    Operation(
        method="POST",
        path="/domains",
        tag="domains",
        summary="Create a user domain; its secret is in this answer and in no other",
        handler=create_domain,
        body=NewDomain,
        answer=DomainView,
        status=HTTPStatus.CREATED,
    ),
    Operation(
        method="GET",
        path="/domains",
        tag="domains",
        summary="List user domains, oldest first",
        handler=list_domains,
        query=PageQuery,
        answer=Page[DomainView],
    ),
    Operation(
        method="POST",
        path="/users",
        tag="users",
        summary="Create a user without a mail code",
        handler=create_user,
        body=NewUser,
        answer=UserView,
        status=HTTPStatus.CREATED,
    ),
    Operation(
        method="GET",
        path="/users",
        tag="users",
        summary="List users, of one user domain or of all",
        handler=list_users,
        query=UserQuery,
        answer=Page[UserView],
    ),
    Operation(
        method="POST",
        path="/users/{uid}/disable",
        tag="users",
        summary="Shut a user out; their sessions end, their devices stay theirs",
        handler=disable_user,
        answer=UserView,
    ),
    Operation(
        method="POST",
        path="/users/{uid}/enable",
        tag="users",
        summary="Let a disabled user sign in again",
        handler=enable_user,
        answer=UserView,
    ),
    Operation(
        method="POST",
        path="/keys",
        tag="keys",
        summary="Create an access key; it is in this answer and in no other",
        handler=create_access_key,
        body=NewAccessKey,
        answer=AccessKeyView,
        status=HTTPStatus.CREATED,
    ),
    Operation(
        method="GET",
        path="/keys",
        tag="keys",
        summary="List access keys, oldest first, revoked ones included",
        handler=list_access_keys,
        query=PageQuery,
        answer=Page[AccessKeyView],
    ),
    Operation(
        method="DELETE",
        path="/keys/{key_id}",
        tag="keys",
        summary="Revoke an access key at once",
        handler=revoke_access_key,
        status=HTTPStatus.NO_CONTENT,
    ),
)
