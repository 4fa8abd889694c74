"""Who calls the HTTP side in tests: users and operators, on the real app over a real database, without a socket."""

import hashlib
import itertools
from dataclasses import dataclass
from typing import Any

import httpx

from quecbind.center.http.headers import SAFE_HEADERS
from quecbind.wire import signing
from tests.center.services.world import PASSWORD, World

ENDUSER = "/v2/enduser/enduserapi/"
BINDING = "/v2/binding/enduserapi/"
RANDOM = "j1acpdj2bmtqZXVb"
CARRIERS = ("query", "form", "json", "multipart")

_addresses = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    """An envelope, its four fields by name."""

    code: int
    msg: str
    data: Any
    ext_msg: Any


class Network:
    """Clients with an address of their own each, as the socket would tell it."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._clients: list[httpx.AsyncClient] = []

    def client(self, address: str | None = None) -> httpx.AsyncClient:
        peer = (address or f"192.0.2.{next(_addresses) % 250 + 1}", 40_000)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(self._app, client=peer), base_url="http://center")
        self._clients.append(client)
        return client

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


class App:
    """An App, signed in or not."""

    def __init__(self, client: httpx.AsyncClient, token: str | None = None, email: str = "", uid: str = "") -> None:
        self.client, self.token, self.email, self.uid = client, token, email, uid
        self.refresh_token = ""

    async def call(self, method: str, path: str, carrier: str = "query", /, **parameters: Any) -> Answer:
        """One call; the path is relative to the binding API unless it begins with a slash."""
        options: dict[str, Any] = {}
        match carrier:
            case "query":
                options["params"] = parameters
            case "form":
                options["data"] = parameters
            case "json":
                options["json"] = parameters
            case "multipart":
                options["files"] = {name: (None, str(value)) for name, value in parameters.items()}
        return await self.raw(method, path, **options)

    async def raw(self, method: str, path: str, **options: Any) -> Answer:
        headers = ({"Authorization": self.token} if self.token is not None else {}) | options.pop("headers", {})
        url = path if path.startswith("/") else BINDING + path
        response = await self.client.request(method, url, headers=headers, **options)
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert SAFE_HEADERS.items() <= dict(response.headers).items()
        envelope = response.json()
        assert list(envelope) == ["code", "msg", "data", "extMsg"]
        return Answer(*envelope.values())

    async def sign_in(self, domain: Any, email: str, password: str = PASSWORD, carrier: str = "form") -> Answer:
        answer = await self.call("POST", ENDUSER + "emailPwdLogin", carrier, **sign_in_fields(domain, email, password))
        if answer.code == 200:
            self.email = email
            self.token = answer.data["accessToken"]["token"]
            self.refresh_token = answer.data["refreshToken"]["token"]
        return answer

    async def bind(self, pk: str, dk: str, code: str, carrier: str = "json", **more: Any) -> Answer:
        fields = {"productKey": pk, "deviceKey": dk, "bindingCode": code, **more}
        return await self.call("POST", "v2/deviceBindingByWifi", carrier, **fields)

    async def device_keys(self) -> list[str]:
        answer = await self.call("GET", "userDeviceList", pageSize=100)
        assert answer.code == 200
        return sorted(device["deviceKey"] for device in answer.data["list"])


def sign_in_fields(
    domain: Any, email: str, password: str = PASSWORD, random: str = RANDOM, line_end: str = ""
) -> dict[str, str]:
    """What an App sends to sign in, made by hand from the protocol document."""
    cipher = signing.app_password_encrypt(password, random) + line_end
    signed = email + cipher + random + domain.user_domain_secret
    return {
        "email": email,
        "pwd": cipher,
        "random": random,
        "userDomain": domain.user_domain,
        "signature": hashlib.sha256(signed.encode()).hexdigest(),
    }


@dataclass
class Http:
    """The whole scene: the services below, the app, one product, one user domain, two users who are signed in."""

    world: World
    network: Network
    product: Any
    domain: Any
    alice: App
    bob: App
    operator: httpx.AsyncClient

    @property
    def pk(self) -> str:
        return str(self.product.product_key)

    def stranger(self, address: str | None = None) -> App:
        return App(self.network.client(address))

    async def owned(self, device_key: str = "D1", owner: App | None = None, code: str = "1234567890ABCDEF") -> str:
        """A device of Alice's (or of `owner`); gives its device key."""
        entry = await self.world.device(self.product, device_key)
        await self.world.report(entry, code)
        answer = await (owner or self.alice).bind(self.pk, device_key, code)
        assert answer.code == 200
        return device_key
