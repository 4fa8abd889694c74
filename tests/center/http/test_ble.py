"""BLE-only devices over HTTP: the shapes Apps read, in every carrier, and lists that are none."""

import pytest

from quecbind.wire import ble, signing
from tests.center.http.callers import CARRIERS, Http

RANDOM = "A1b2C3d4E5f6G7h8"
DK = "aabbccddeeff"
SECRET = "FEDCBA9876543210"


async def bind(http: Http, product, carrier: str = "json", **more):
    pk, ps = product.product_key, product.product_secret
    made = await http.alice.call("POST", "getEncryptedBindingCode", carrier, pk=pk, dk=DK, random=RANDOM)
    assert made.code == 200
    code = made.data["encryptedBindingCode"]
    fields = {
        "pk": pk,
        "dk": DK,
        "random": RANDOM,
        "encryptedBindingCode": code,
        "encryptedNewBindingSecret": ble.encrypt_bind_secret(pk, DK, SECRET, ps, RANDOM),
        "pwd": "pin",
        "signature": signing.app_signature(pk, DK, code, "pin", http.domain.user_domain_secret),
        "deviceName": "tag",
        **more,
    }
    return await http.alice.call("POST", "deviceBindingByPureBt", carrier, **fields)


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_device_without_a_network_is_bound_used_and_given_up(http: Http, carrier: str) -> None:
    product = await http.world.product(ble_only=True)
    pk = product.product_key

    bound = await bind(http, product, carrier)
    used = await http.alice.call("PUT", "setBtLastUseTime", carrier, pk=pk, dk=DK, btLastUseTime=1_700_000_000_000)
    shown = (await http.alice.call("GET", "deviceInfo", pk=pk, dk=DK)).data
    outlook = (await http.bob.call("GET", "getDeviceInfoByBinding", carrier, pk=pk, dk=DK)).data
    given = ble.encrypt_bind_secret(pk, DK, SECRET, product.product_secret, RANDOM)
    wrong = await http.alice.call(
        "DELETE", "unbundlingDeviceDk", carrier, pk=pk, dk=DK, pureBtResetCredentials=given, random="B" * 16
    )
    gone = await http.alice.call(
        "DELETE", "unbundlingDeviceDk", carrier, pk=pk, dk=DK, pureBtResetCredentials=given, random=RANDOM
    )

    assert (bound.code, bound.data) == (200, {"verified": "1"})
    assert (used.code, used.data) == (200, None)
    assert (shown["bindingType"], shown["deviceName"], shown["btLastUseTime"]) == (4, "tag", 1_700_000_000_000)
    assert (shown["capabilitiesBitmask"], shown["networkType"]) == (4, 5)
    assert (outlook["activeBluetooth"], wrong.code, gone.code, gone.data) == (True, 5050, 200, {"bindingSum": 0})


async def test_claims_beside_the_fields_are_ignored(http: Http) -> None:
    product = await http.world.product(ble_only=True)

    bound = await bind(http, product, uid=http.bob.uid, verified="0", owner=http.bob.uid)

    assert (bound.code, bound.data) == (200, {"verified": "1"})
    assert await http.alice.device_keys() == [DK]
    assert await http.bob.device_keys() == []


async def test_reset_credentials_come_for_the_callers_devices_alone(http: Http) -> None:
    product = await http.world.product(ble_only=True)
    pk = product.product_key
    await bind(http, product)
    wanted = [{"pk": pk, "dk": DK}, {"pk": pk, "dk": "nobody"}, {"pk": "", "dk": ""}, {}]

    mine = await http.alice.raw("POST", "batchGetPureBtResetCredentials", json=wanted)
    theirs = await http.bob.raw("POST", "batchGetPureBtResetCredentials", json=wanted)

    (row,) = mine.data["successList"]
    opened = ble.decrypt_bind_secret(row["resetCredentials"], product.product_secret, row["random"])
    assert (row["pk"], row["dk"], opened) == (pk, DK, (pk, DK, SECRET))
    assert [each["dk"] for each in mine.data["failedList"]] == ["nobody", "", ""]
    assert theirs.data["successList"] == []
    assert theirs.data["failedList"][0]["msg"] == theirs.data["failedList"][1]["msg"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, 5311),
        ({"json": []}, 5311),
        ({"json": [{"pk": "p1", "dk": "d"}] * 101}, 5312),
        ({"json": {"pk": "p1", "dk": "d"}}, 8400),
        ({"json": ["p1"]}, 8400),
        ({"content": b"[{"}, 8400),
        ({"content": b'[{"pk":"p1","pk":"p2"}]'}, 8400),
        ({"json": [{"pk": ["p1"], "dk": "d"}]}, 8400),
        ({"content": b"[" * 100}, 8400),
        ({"content": b" " * 70_000}, 8400),
    ],
)
async def test_a_list_that_is_none_is_refused(http: Http, options, code: int) -> None:
    answer = await http.alice.raw("POST", "batchGetPureBtResetCredentials", **options)

    assert (answer.code, answer.data) == (code, None)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "getEncryptedBindingCode"),
        ("POST", "deviceBindingByPureBt"),
        ("POST", "batchGetPureBtResetCredentials"),
        ("PUT", "setBtLastUseTime"),
        ("POST", "bindDeviceSn"),
        ("POST", "regenerateAuthKey"),
    ],
)
async def test_all_of_it_needs_a_token(http: Http, method: str, path: str) -> None:
    assert (await http.stranger().raw(method, path)).code == 5106
