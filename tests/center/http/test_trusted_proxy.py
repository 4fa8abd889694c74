"""The address that limits count, behind a proxy and without one."""

from __future__ import annotations

import ipaddress

import pytest

from quecbind.center.http import app
from tests.center.http.callers import App, Http, Network

PROXIES = (ipaddress.ip_network("10.0.0.0/8"),)
WRONG = "0000000000000000"


async def guess(http: Http, peer: str, headers: dict[str, str], trusted: tuple[ipaddress.IPv4Network, ...]) -> str:
    """Bring a wrong code, and give the address under which the audit log has it."""
    entry = await http.world.device(http.product, "D1")
    await http.world.report(entry)
    network = Network(app.build(http.world.center, trusted_proxies=trusted))
    caller = App(network.client(peer), http.alice.token)
    body = {"productKey": http.pk, "deviceKey": "D1", "bindingCode": WRONG}
    answer = await caller.raw("POST", "v2/deviceBindingByWifi", json=body, headers=headers)
    await network.close()
    assert answer.code == 5462
    return (await http.world.center.operators.audit(1, 1)).items[0].peer


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
async def test_a_stranger_cannot_choose_an_address(http: Http, header: str) -> None:
    said = "for=1.1.1.1" if header == "Forwarded" else "1.1.1.1"

    assert await guess(http, "203.0.113.5", {header: said}, PROXIES) == "203.0.113.5"


async def test_without_a_trusted_proxy_the_headers_are_ignored(http: Http) -> None:
    assert await guess(http, "10.0.0.1", {"X-Forwarded-For": "1.1.1.1"}, ()) == "10.0.0.1"


async def test_a_trusted_proxy_names_the_client(http: Http) -> None:
    assert await guess(http, "10.0.0.1", {"X-Forwarded-For": "6.6.6.6, 203.0.113.5"}, PROXIES) == "203.0.113.5"


async def test_operators_are_audited_under_what_a_trusted_proxy_says(http: Http) -> None:
    network = Network(app.build(http.world.center, trusted_proxies=PROXIES))
    client = network.client("10.0.0.1")
    headers = {"Authorization": http.operator.headers["Authorization"], "X-Forwarded-For": "203.0.113.5"}

    made = await client.post("/api/v1/products", json={"name": "lamp"}, headers=headers)

    assert made.status_code == 201
    assert (await http.world.center.operators.audit(1, 1)).items[0].peer == "203.0.113.5"
    await network.close()
