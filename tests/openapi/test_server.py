"""Schemathesis runs the OpenAPI document against a real server process: what it promises is what is answered.

Requests are made from the document, right and wrong ones, and about half of them name a device, product or share that
exists. No answer is a 5xx or says 5000, every one has a documented status, content type and shape, and nothing is
answered without the credentials the document asks for. The suite makes few requests, always the same; `make openapi`
(--full) makes many, QUECBIND_OPENAPI_EXAMPLES=N that many for each operation, different from run to run.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from quecbind.center.http import openapi
from quecbind.center.http.app_tables import TABLES
from quecbind.center.http.operators import OPERATIONS, PREFIX
from tests.e2e.center_process import CenterProcess
from tests.e2e.conftest import World
from tests.tables import Row

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(3600)]

FULL_EXAMPLES = int(os.environ.get("QUECBIND_OPENAPI_EXAMPLES", "40"))
DOCUMENT = openapi.document(OPERATIONS, PREFIX, TABLES)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
Operation = Any


@dataclass
class Live:
    """A server with a device that is bound and shared, and who may ask it."""

    center: CenterProcess
    access_key: str
    token: str
    existing: dict[str, str]
    session: requests.Session = field(default_factory=requests.Session)

    def credentials(self, operation: Operation) -> dict[str, str]:
        kinds = [name for each in security(operation) for name in each]
        value = {"accessKey": f"Bearer {self.access_key}", "userToken": self.token}
        return {"Authorization": value[kinds[0]]} if kinds else {}


def security(operation: Operation) -> list[dict[str, Any]]:
    return operation.definition.raw.get("security", DOCUMENT["security"])  # type: ignore[no-any-return]


def operations() -> list[Operation]:
    """All of them; those that end what others need come last."""
    found = [each.ok() for each in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()]
    return sorted(found, key=_turn)


def _turn(operation: Operation) -> tuple[bool, ...]:
    path = operation.path
    return operation.method == "delete", path.startswith(PREFIX), path.endswith("userLogout")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    base = tmp_path_factory.mktemp("openapi")
    center = CenterProcess(base / "data", base / "server.log").start()
    try:
        yield prepared(center)
        assert center.process is not None
        assert center.process.poll() is None, "the server has ended"
        assert "Traceback" not in center.log.read_text()
    finally:
        center.stop()


def prepared(center: CenterProcess) -> Live:
    product = center.admin("product", "create", "lamp", "--allow-device-key-binding", "--bind-mode", "multi")
    domain = center.admin("domain", "create", "App")
    world = World(
        center,
        product["product_key"],
        product["product_secret"],
        domain["user_domain"],
        domain["user_domain_secret"],
    )
    access_key = center.admin("key", "create", "schemathesis")["access_key"]
    keys = {"pk": world.pk, "dk": "D1"}
    device = {"product_key": world.pk, "device_key": "D1", "device_secret": "0123456789abcdef", "serial": "S1"}
    answer = requests.post(
        f"{center.url}{PREFIX}/devices/import",
        json=[device],
        headers={"Authorization": f"Bearer {access_key}"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    owner, member = world.new_user(), world.new_user()
    binding = "/v2/binding/enduserapi/"
    assert center.call("POST", binding + "bindDeviceDk", owner.token, keys)["code"] == 200
    shared = center.call("POST", binding + "shareByUid", owner.token, keys, email=member.email)
    assert center.call("POST", binding + "shareDevice", member.token, {"shareCode": shared["data"]})["code"] == 200
    given = center.call("POST", binding + "shareByUid", owner.token, keys, email=member.email)
    existing = {
        **keys,
        "product_key": world.pk,
        "productKey": world.pk,
        "device_key": "D1",
        "deviceKey": "D1",
        "sn": "S1",
        "shareCode": given["data"],
        "email": member.email,
        "userDomain": world.domain,
        "user_domain": world.domain,
        "bindingCode": "1234567890ABCDEF",
        "deviceName": "lamp",
        "acceptingExpireAt": "4102444800000",
        "sharingExpireAt": "4102444800001",
        "coverMark": "2",
    }
    return Live(center, access_key, owner.token, existing)


def run(live: Live, operation: Operation, *, is_full: bool, mode: GenerationMode, ask: Callable[[Any], None]) -> None:
    """Call `ask` with as many requests as there are to be; about half of the names in them are those of what exists."""

    @settings(
        max_examples=FULL_EXAMPLES if is_full else 5 if mode is GenerationMode.POSITIVE else 3,
        derandomize=not is_full,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if is_full else [Phase.generate],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
    def each(case: Any, real: bool) -> None:
        if real:
            name_what_exists(case, live.existing, is_wrong=mode is GenerationMode.NEGATIVE)
        ask(case)

    each()


def name_what_exists(case: Any, existing: dict[str, str], *, is_wrong: bool) -> None:
    """Put what exists in place of what was drawn, or beside it where the operation takes it.

    In a wrong request only the path: in place of what is wrong about it, it could make it right.
    """
    for container, part in (("path", case.path_parameters), ("query", case.query), ("body", case.body)):
        for row in part if isinstance(part, list) else [part]:
            if isinstance(row, dict) and (container == "path" or not is_wrong):
                names = set(row) if container == "path" else taken(case.operation, container)
                row.update({name: existing[name] for name in names if name in existing})


def is_wrong_in_its_headers(case: Any) -> bool:
    """Whether the credentials are what is wrong: then it must not be given better ones."""
    part = case.meta.components.get(ParameterLocation.HEADER) if case.meta is not None else None
    return part is not None and part.mode is GenerationMode.NEGATIVE


def taken(operation: Operation, container: str) -> set[str]:
    raw = operation.definition.raw
    if container == "query":
        return {each["name"] for each in raw.get("parameters", []) if each["in"] == "query"}
    schemas = [each["schema"] for each in raw.get("requestBody", {}).get("content", {}).values()]
    return {name for schema in schemas for name in schema.get("items", schema).get("properties", {})}


def can_be_wrong(operation: Operation) -> bool:
    """Whether there is anything in a request that the document could forbid."""
    return bool(operation.body) or bool(list(operation.query))


def test_what_is_answered_is_what_the_document_says(live: Live, row: Row, request: pytest.FixtureRequest) -> None:
    is_full = bool(request.config.getoption("full")) or "QUECBIND_OPENAPI_EXAMPLES" in os.environ
    for operation in operations():
        headers, said = live.credentials(operation), Counter[int]()
        is_app = operation.path.startswith("/v2/")

        def ask(case: Any, *more: Any, headers: Any = headers, said: Any = said, is_app: Any = is_app) -> None:
            own = {} if is_wrong_in_its_headers(case) else headers
            answer = case.call(base_url=live.center.url, session=live.session, headers=own)
            case.validate_response(answer, checks=[*CHECKS, *more])
            code = answer.json()["code"] if is_app else answer.status_code
            # An envelope hides it behind HTTP 200.
            assert code != 5000, case.as_curl_command()
            said[code] += 1

        def ask_wrongly(case: Any, ask: Any = ask, is_app: Any = is_app) -> None:
            # Everything is text to the App API, and what it does not know it does not read.
            ask(case, *([] if is_app else [negative_data_rejection]))

        run(live, operation, is_full=is_full, mode=GenerationMode.POSITIVE, ask=ask)
        if can_be_wrong(operation):
            run(live, operation, is_full=is_full, mode=GenerationMode.NEGATIVE, ask=ask_wrongly)
        answers = " ".join(map(str, sorted(said)))
        row(f"{operation.method.upper()} {operation.path}: {said.total()} requests, {answers}; 5000", 0, said[5000])


def test_nothing_is_answered_without_the_credentials_that_the_document_asks_for(live: Live, row: Row) -> None:
    refused = {
        "accessKey": ([401, 8401], [401, 8401]),
        "userToken": ([200, 5106], [200, 5032]),
        "enterprise": ([200, 91001], [200, 91004]),
    }
    for operation in operations():
        kinds = [name for each in security(operation) for name in each]
        if not kinds:
            continue
        kind = "enterprise" if "enterprise" in operation.path else kinds[0]
        path = operation.path
        for name, value in live.existing.items():
            path = path.replace("{" + name + "}", value)
        url = live.center.url + path.replace("{key_id}", "k").replace("{uid}", "C1")
        got = []
        for headers in ({}, {"Authorization": "Bearer " + "x" * 40}):
            answer = live.session.request(operation.method.upper(), url, headers=headers, timeout=30)
            got.append([answer.status_code, answer.json()["code"]])
        row(f"{operation.method.upper()} {operation.path}", refused[kind], tuple(got))
