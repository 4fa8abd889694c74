"""Real processes, real sockets, a data directory on disk."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.center_process import CenterProcess
from tests.e2e.wire_by_hand import app_password, random_text

BINDING = "/v2/binding/enduserapi/"
_numbers = itertools.count(861000000000000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent.parent
    for item in items:
        if item.path.is_relative_to(here / "e2e") or item.path.is_relative_to(here / "faults"):
            item.add_marker(pytest.mark.enable_socket)


@dataclass
class World:
    """A running Developer Center with one product, one user domain and as many users as a test asks for."""

    center: CenterProcess
    pk: str
    ps: str
    domain: str
    domain_secret: str

    def new_device_key(self) -> str:
        return str(next(_numbers))

    def new_user(self) -> User:
        email, password = f"{random_text(10).lower()}@example.org", "secret-1" + random_text(6)
        self.center.make("/users", email=email, user_domain=self.domain, password=password)
        return self.sign_in(email, password)

    def sign_in(self, email: str, password: str) -> User:
        nonce = random_text()
        cipher = app_password(password, nonce)
        signature = hashlib.sha256((email + cipher + nonce + self.domain_secret).encode()).hexdigest()
        answer = self.center.call(
            "POST",
            "/v2/enduser/enduserapi/emailPwdLogin",
            email=email,
            pwd=cipher,
            random=nonce,
            userDomain=self.domain,
            signature=signature,
        )
        assert answer["code"] == 200, answer
        return User(self, email, password, answer["data"]["accessToken"]["token"])


@dataclass
class User:
    """A signed-in end user, by HTTP alone."""

    world: World
    email: str
    password: str
    token: str

    def bind(self, dk: str, code: str | None, pk: str | None = None, **more: Any) -> dict[str, Any]:
        body = {"productKey": pk or self.world.pk, "deviceKey": dk, **more}
        if code is not None:
            body["bindingCode"] = code
        return self.world.center.call("POST", BINDING + "v2/deviceBindingByWifi", self.token, body)

    def unbind(self, dk: str) -> dict[str, Any]:
        return self.world.center.call("DELETE", BINDING + "unbundlingDeviceDk", self.token, pk=self.world.pk, dk=dk)

    def device_keys(self) -> list[str]:
        answer = self.world.center.call("GET", BINDING + "userDeviceList", self.token, page=1, pageSize=100)
        assert answer["code"] == 200, answer
        return [device["deviceKey"] for device in answer["data"]["list"]]


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CenterProcess]:
    place = tmp_path_factory.mktemp("center")
    running = CenterProcess(place / "data", place / "serve.log").start()
    yield running
    if running.process is not None:
        assert running.stop() == 0


@pytest.fixture(scope="module")
def world(center: CenterProcess) -> World:
    return make_world(center)


def make_world(center: CenterProcess, **product: object) -> World:
    """A product with these options, and a user domain."""
    made = center.make("/products", **{"name": "lamp", **product})
    domain = center.make("/domains", name="lamp app")
    return World(
        center, made["product_key"], made["product_secret"], domain["user_domain"], domain["user_domain_secret"]
    )
