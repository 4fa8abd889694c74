"""The App API in the OpenAPI document, made from its route table and handlers: nothing of it is written down twice.

What an endpoint takes stands in its handler alone. So the handler is asked: it gets a request whose parameters note
what they are asked for, and a Developer Center that refuses whatever it is to do. Nothing is done by that.
"""

from collections.abc import Coroutine, Iterable
from typing import Any, cast, get_type_hints

from quecbind.center.domain.ids import Uid, UserDomain
from quecbind.center.http.app_call import AppCall, Endpoint
from quecbind.center.http.parameters import Parameters
from quecbind.center.services.center import Center
from quecbind.center.services.errors import Rejected
from quecbind.center.services.views import Operator, SignedIn

_TEXT: dict[str, Any] = {"type": "string"}
_NOBODY = SignedIn(Uid(""), UserDomain(""), "")


class _EnoughError(Exception):
    """The handler has begun to do something: it has asked for all it takes."""


class _Asked(Parameters):
    """Notes the schema of what it is asked for, and answers each time with `given`."""

    __slots__ = ("_given", "needs_user", "schema_by_name")

    def __init__(self, given: str) -> None:
        super().__init__({})
        self._given = given
        self.needs_user = False
        self.schema_by_name: dict[str, dict[str, Any]] = {}

    def text(self, *names: str) -> str:
        for name in names:
            self.schema_by_name.setdefault(name, _TEXT)
        return self._given

    def texts(self, name: str) -> list[str]:
        self.schema_by_name.setdefault(name, _TEXT)
        return []

    def objects(self, name: str) -> list[Parameters]:
        row = _Asked(self._given)
        self.schema_by_name.setdefault(name, _list_of(row))
        return [row]

    def whole(self, *names: str, default: int, lowest: int, highest: int) -> int:
        for name in names:
            # What lies outside is read as the nearer bound, not refused.
            self.schema_by_name.setdefault(name, {"type": "integer"})
        return default

    def flag(self, name: str, *, default: bool) -> bool:
        self.schema_by_name.setdefault(name, {"type": "boolean"})
        return default


def _list_of(row: _Asked) -> dict[str, Any]:
    """The schema of a list of objects; it learns what `row` is asked for from now on."""
    return {"type": "array", "items": {"type": "object", "properties": row.schema_by_name}}


class _Refusing:
    """A Developer Center that lets everybody in and does nothing."""

    def __getattr__(self, _name: str) -> "_Refusing":
        return self

    def __call__(self, *_arguments: object, **_named: object) -> Coroutine[Any, Any, Any]:
        raise _EnoughError

    async def authenticate(self, *_credentials: object) -> Operator:
        return Operator("", "")


class _Call(AppCall):
    """A request that only asks."""

    __slots__ = ()

    async def signed_in(self) -> SignedIn:
        cast("_Asked", self.parameters).needs_user = True
        return _NOBODY


def _ask(endpoint: Endpoint, given: str) -> tuple[_Asked, _Asked]:
    """What the handler takes, and what it takes of each row."""
    asked, row = _Asked(given), _Asked(given)
    call = _Call(cast("Center", _Refusing()), asked, [row] if endpoint.takes_list else [], "-", "")
    running = cast("Coroutine[Any, Any, object]", endpoint.handler(call))
    try:
        running.send(None)
    except (_EnoughError, Rejected, StopIteration):
        pass
    finally:
        running.close()
    return asked, row


def answer_type(endpoint: Endpoint) -> Any:
    """The type of `data`, as the handler declares it."""
    return get_type_hints(endpoint.handler)["return"]


def operations(
    tables: Iterable[tuple[str, Iterable[Endpoint]]], schema_by_type: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """The paths of the document; `tables` are endpoints by tag, `schema_by_type` knows their `answer_type`s by repr."""
    paths: dict[str, dict[str, Any]] = {}
    for tag, table in tables:
        for endpoint in table:
            described = _operation(endpoint, tag, schema_by_type[repr(answer_type(endpoint))])
            paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = described
    return paths


def _operation(endpoint: Endpoint, tag: str, data: dict[str, Any]) -> dict[str, Any]:
    asked, row = _ask(endpoint, "1")
    # A handler may ask for one thing only when another is missing.
    schemas = asked.schema_by_name | _ask(endpoint, "")[0].schema_by_name
    name = endpoint.path.removeprefix("/v2/").replace("/enduserapi", "").replace("/enterpriseapi", "")
    described: dict[str, Any] = {
        "operationId": f"{name.replace('/', '_')}_{endpoint.method.lower()}",
        "tags": [f"App: {tag}"],
        "summary": (endpoint.handler.__doc__ or "").partition("\n")[0],
        "security": [{"userToken": []}] if asked.needs_user else [{"accessKey": []}] if tag == "enterprise" else [],
        "responses": {"200": {"description": "an envelope; `code` 200 is success", "content": _json(_envelope(data))}},
    }
    if endpoint.takes_list:
        described["requestBody"] = {"content": _json(_list_of(row))}
    elif endpoint.method in {"GET", "DELETE"}:
        described["parameters"] = [{"name": name, "in": "query", "schema": schema} for name, schema in schemas.items()]
    elif schemas:
        form: dict[str, Any] = {"schema": {"type": "object", "properties": schemas}}
        content = _json(form["schema"])
        if not any("items" in schema for schema in schemas.values()):
            content = {"application/x-www-form-urlencoded": form, **content}
        described["requestBody"] = {"content": content}
    return described


def _envelope(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["code", "msg", "data", "extMsg"],
        "additionalProperties": False,
        "properties": {
            "code": {"type": "integer"},
            "msg": {"type": "string"},
            "data": {"anyOf": [data, {"type": "null"}]},
            "extMsg": {"anyOf": [{"type": "null"}, {"type": "object"}]},
        },
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
