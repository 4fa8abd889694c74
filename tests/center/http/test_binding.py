"""Devices over HTTP: every endpoint, its refusals, its carriers; another user's device is no device."""

import base64
from typing import Any

import pytest

from tests.center.http.callers import CARRIERS, App, Http
from tests.center.services.world import CODE, OTHER_CODE

DEVICE_FIELDS = {
    "productKey", "deviceKey", "deviceName", "productName", "deviceStatus", "onlineStatus", "deviceType", "ownerUid",
    "shareCode", "sharingExpireAt", "authKey", "authCode", "bindingCode", "btPwd", "verified", "status", "bindStatus",
    "bindMode", "bindingType", "bindType", "networkType", "accessType", "capabilitiesBitmask", "sn", "uid", "userName",
    "phone", "invaildTime", "invaildTimeTs", "deviceBindTime", "deviceBindTimeTs", "lastConnTime", "lastConnTimeTs",
    "lastOfflineTime", "lastOfflineTimeTs", "signalStrength", "protocol", "logoImage", "fid", "frid", "isMatter",
    "matterInfo",
}  # fmt: skip


async def reported(http: Http, device_key: str = "D1") -> str:
    """A device of the scene's product that has reported CODE; gives its device key."""
    entry = await http.world.device(http.product, device_key)
    await http.world.report(entry, CODE)
    return device_key


# ---- bind


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_the_right_code_binds_whatever_carries_it(http: Http, carrier: str) -> None:
    dk = await reported(http)

    answer = await http.alice.bind(http.pk, dk, CODE, carrier, deviceName="hall lamp")

    assert answer.code == 200
    assert answer.data.keys() == {"authKey", "bindingMode", "productLogo", "productName"}
    assert len(base64.b64decode(answer.data["authKey"])) == 16
    assert (answer.data["bindingMode"], answer.data["productName"]) == (1, "lamp")
    assert await http.alice.device_keys() == [dk]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bindingCode": ""}, 5179),
        ({"bindingCode": None}, 5179),
        ({"bindingCode": CODE.lower()}, 5213),
        ({"bindingCode": CODE[:15]}, 5213),
        ({"bindingCode": CODE + "0"}, 5213),
        ({"bindingCode": CODE + "\n"}, 5213),
        ({"bindingCode": "１" * 16}, 5213),
        ({"bindingCode": 1234567890123456}, 5460),
        ({"bindingCode": ["1234567890ABCDEF"]}, 8400),
        ({"bindingCode": {"$ne": ""}}, 8400),
        ({"productKey": ""}, 5066),
        ({"productKey": "p1none"}, 5229),
        ({"productKey": "../p1"}, 5229),
        ({"deviceKey": ""}, 5067),
        ({"deviceKey": "no such device"}, 5361),
        ({"deviceKey": "UNKNOWN"}, 5460),
        ({"deviceName": "x" * 255}, 5333),
        ({"capabilitiesBitmask": "many"}, 8400),
        ({"capabilitiesBitmask": -1}, 8400),
        ({"capabilitiesBitmask": 10**19}, 8400),
    ],
)
async def test_a_bind_is_refused_and_changes_nothing(http: Http, changes: dict[str, Any], code: int) -> None:
    dk = await reported(http, "D1")
    await http.world.device(http.product, "SILENT")
    fields = {"productKey": http.pk, "deviceKey": dk, "bindingCode": CODE, **changes}
    if code == 5460 and "deviceKey" not in changes:
        fields["deviceKey"] = "SILENT"

    answer = await http.alice.call("POST", "v2/deviceBindingByWifi", "json", **fields)

    assert (answer.code, answer.data) == (code, None)
    assert answer.msg
    assert await http.alice.device_keys() == []
    assert (await http.alice.bind(http.pk, dk, CODE)).code == 200


async def test_a_wrong_code_costs_only_the_guesser_and_too_many_are_told_to_wait(http: Http) -> None:
    dk = await reported(http)

    answers = [await http.bob.bind(http.pk, dk, OTHER_CODE) for _ in range(11)]

    assert [answer.code for answer in answers] == [5462] * 10 + [8429]
    assert 0 < answers[-1].ext_msg["retryAfter"] <= 600
    assert (await http.alice.bind(http.pk, dk, CODE)).code == 200


async def test_the_window_closes_on_time(http: Http) -> None:
    dk = await reported(http)

    http.world.clock.move(120)

    assert (await http.alice.bind(http.pk, dk, CODE)).code == 5461


async def test_a_second_user_is_refused_in_single_mode(http: Http) -> None:
    product = await http.world.product(bind_mode="single")
    entry = await http.world.device(product)
    await http.world.report(entry)
    assert (await http.alice.bind(product.product_key, "D1", CODE)).code == 200
    await http.world.report(entry, OTHER_CODE)

    answer = await http.bob.bind(product.product_key, "D1", OTHER_CODE)

    assert answer.code == 5412
    assert await http.bob.device_keys() == []
    assert await http.alice.device_keys() == ["D1"]


async def test_the_old_owner_leaves_in_alternate_mode(http: Http) -> None:
    product = await http.world.product(bind_mode="alternate")
    entry = await http.world.device(product)
    await http.world.report(entry)
    await http.alice.bind(product.product_key, "D1", CODE)
    await http.world.report(entry, OTHER_CODE)

    assert (await http.bob.bind(product.product_key, "D1", OTHER_CODE)).code == 200

    assert await http.bob.device_keys() == ["D1"]
    assert await http.alice.device_keys() == []


async def test_the_owner_binding_again_changes_nothing(http: Http) -> None:
    dk = await http.owned()
    key = (await http.alice.call("POST", "getAuthKey", pk=http.pk, dk=dk)).data

    refused = await http.alice.bind(http.pk, dk, OTHER_CODE)
    answer = await http.alice.bind(http.pk, dk, CODE)

    assert (refused.code, answer.code) == (5460, 200)
    assert answer.data["authKey"] == key["authKey"]


async def test_claims_beside_the_fields_are_ignored(http: Http) -> None:
    dk = await reported(http)
    claims = {"uid": http.bob.uid, "ownerUid": http.bob.uid, "owner": http.bob.uid, "role": "admin", "verified": 0}

    answer = await http.alice.bind(http.pk, dk, CODE, **claims, userDomain="Q.DM.1.1", bindMode=2, bindingType=1)

    assert answer.code == 200
    device = (await http.alice.call("GET", "deviceInfo", pk=http.pk, dk=dk)).data
    assert (device["uid"], device["ownerUid"], device["bindMode"], device["bindingType"]) == (
        http.alice.uid,
        http.alice.uid,
        1,
        2,
    )
    assert await http.bob.device_keys() == []


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_binding_by_device_key_is_off_unless_the_product_allows_it(http: Http, carrier: str) -> None:
    await http.world.device(http.product)
    open_product = await http.world.product(allow_device_key_binding=True)
    await http.world.device(open_product)

    refused = await http.alice.call("POST", "bindDeviceDk", carrier, pk=http.pk, dk="D1", name="lamp one")
    allowed = await http.alice.call(
        "POST", "bindDeviceDk", carrier, pk=open_product.product_key, dk="D1", name="lamp one", deviceName="ignored"
    )

    assert refused.code == 5499
    assert (allowed.code, allowed.data.keys()) == (200, {"authKey"})
    (device,) = (await http.alice.call("GET", "userDeviceList")).data["list"]
    assert (device["productKey"], device["deviceName"], device["bindingType"]) == (
        open_product.product_key,
        "lamp one",
        3,
    )


@pytest.mark.parametrize(
    ("told", "shown"), [({}, 3), ({"capabilitiesBitmask": 7}, 7), ({"capabilitiesBitmask": 16}, 3)]
)
async def test_the_device_shows_what_the_app_told_of_it_or_what_its_product_can(
    http: Http, told: dict[str, int], shown: int
) -> None:
    dk = await reported(http)

    await http.alice.bind(http.pk, dk, CODE, **told)

    device = (await http.alice.call("GET", "deviceInfo", pk=http.pk, dk=dk)).data
    assert (device["capabilitiesBitmask"], device["networkType"]) == (shown, None)


async def test_may_i_bind(http: Http) -> None:
    await http.world.device(http.product)

    async def ask(**parameters: str) -> tuple[int, Any]:
        answer = await http.alice.call("GET", "getDeviceInfoByBinding", **parameters)
        return answer.code, answer.data

    good = {"bindingMode": 1, "productName": "lamp", "productLogo": None, "activeBluetooth": False}
    assert await ask(pk=http.pk, dk="D1") == (200, good)
    assert await ask(pk=http.pk, dk="NOSUCH", fid="", checkExistInCloud="false") == (200, good)
    assert await ask(pk=http.pk) == (200, good)
    assert await ask(dk="D1") == (5066, None)
    assert await ask(pk="p1none", dk="D1") == (5913, None)
    assert await ask(pk=http.pk, dk="not a key") == (5361, None)
    await http.owned("D2")
    assert await ask(pk=http.pk, dk="D2") == (5049, None)


async def test_a_product_that_is_not_open_to_the_app_cannot_be_bound(http: Http) -> None:
    dk = await reported(http)
    other = await http.world.domain("Other App")
    limited = await http.operator.put(f"/api/v1/products/{http.pk}/domains", json={"user_domains": [other.user_domain]})
    assert limited.status_code == 200

    assert (await http.alice.bind(http.pk, dk, CODE)).code == 5229
    assert (await http.alice.call("GET", "getDeviceInfoByBinding", pk=http.pk, dk=dk)).code == 5913


# ---- list and details


async def test_a_device_has_every_field_apps_read(http: Http) -> None:
    dk = await http.owned()

    listed = (await http.alice.call("GET", "userDeviceList")).data["list"]
    shown = await http.alice.call("GET", "deviceInfo", pk=http.pk, dk=dk)

    assert listed == [shown.data]
    assert shown.data.keys() >= DEVICE_FIELDS
    for name in ("onlineStatus", "deviceType", "verified", "status", "bindStatus", "bindMode", "bindingType"):
        assert type(shown.data[name]) is int, name
    assert (shown.data["deviceName"], shown.data["productName"], shown.data["deviceType"]) == (dk, "lamp", 1)
    assert shown.data["deviceBindTimeTs"] == int(http.world.clock.now() * 1000)
    assert shown.data["deviceBindTime"] == "2023-11-14 22:13:20"
    assert shown.data["uid"] == http.alice.uid


async def test_devices_come_in_pages(http: Http) -> None:
    for number in range(12):
        await http.owned(f"D{number:02}")

    first = (await http.alice.call("GET", "userDeviceList")).data
    second = (await http.alice.call("GET", "userDeviceList", page=2)).data
    by_other_name = (await http.alice.call("GET", "userDeviceList", "form", pageNumber=2, pageSize=10)).data
    beyond = (await http.alice.call("GET", "userDeviceList", page=9)).data

    assert (first["total"], first["pages"], first["pageNum"], first["pageSize"], first["size"]) == (12, 2, 1, 10, 10)
    assert (first["nextPage"], first["isFirstPage"], first["hasNextPage"]) == (2, True, True)
    assert (second["size"], second["isLastPage"], second["prePage"]) == (2, True, 1)
    assert by_other_name == second
    assert (beyond["list"], beyond["size"], beyond["total"]) == ([], 0, 12)
    keys = {device["deviceKey"] for page in (first, second) for device in page["list"]}
    assert len(keys) == 12


@pytest.mark.parametrize(
    ("parameters", "page", "size"),
    [
        ({"page": "0", "pageSize": "0"}, 1, 1),
        ({"page": "-5", "pageSize": "-1"}, 1, 1),
        ({"pageSize": "1000000"}, 1, 100),
        ({"page": "9223372036854775807"}, 1_000_000, 10),
    ],
)
async def test_a_page_out_of_range_is_the_nearest_one(
    http: Http, parameters: dict[str, str], page: int, size: int
) -> None:
    answer = await http.alice.call("GET", "userDeviceList", **parameters)

    assert answer.code == 200
    assert (answer.data["pageNum"], answer.data["pageSize"]) == (page, size)


async def test_a_page_that_is_no_number_is_refused(http: Http) -> None:
    assert (await http.alice.call("GET", "userDeviceList", page="one")).code == 8400


async def test_devices_are_filtered(http: Http) -> None:
    for dk, name in (("D1", "hall"), ("D2", "100% kitchen_lamp"), ("D3", "garden")):
        await http.owned(dk)
        assert (await http.alice.call("PUT", "setDeviceInfo", pk=http.pk, dk=dk, deviceName=name)).code == 200

    async def found(**filters: str) -> list[str]:
        listed = (await http.alice.call("GET", "userDeviceList", **filters)).data["list"]
        return sorted(device["deviceKey"] for device in listed)

    assert await found(deviceName="kitchen") == ["D2"]
    assert await found(deviceName="%") == ["D2"]
    assert await found(deviceName="_") == ["D2"]
    assert await found(deviceName="' OR 1=1 --") == []
    assert await found(dk="D3") == ["D3"]
    assert await found(pkList=f"p1none,{http.pk}") == ["D1", "D2", "D3"]
    assert await found(pkList="p1none") == []


async def test_device_info_needs_a_device(http: Http) -> None:
    async def ask(**parameters: str) -> int:
        return (await http.alice.call("GET", "deviceInfo", **parameters)).code

    assert await ask() == 5140
    assert await ask(shareCode="any") == 5137
    assert await ask(dk="D1") == 5066
    assert await ask(pk=http.pk) == 5067
    assert await ask(pk=http.pk, dk="NOSUCH") == 5052
    assert await ask(pk=http.pk, dk="' OR 1=1") == 5361


async def test_a_device_that_is_connected_is_shown_online(http: Http) -> None:
    dk = await http.owned()
    entry = http.world.center.registry.entry(f"qd{http.pk}{dk}")
    assert entry is not None
    http.world.center.presence.online(entry, "10.0.0.9")

    device = (await http.alice.call("GET", "deviceInfo", pk=http.pk, dk=dk)).data

    assert (device["onlineStatus"], device["deviceStatus"]) == (1, "Online")
    assert device["lastConnTimeTs"] == int(http.world.clock.now() * 1000)


# ---- name, unbind, auth key


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("name", ["Küche 灯 🏮", "<script>alert(1)</script>", "';--", '"}', "a" * 254])
async def test_a_name_is_kept_as_it_is(http: Http, carrier: str, name: str) -> None:
    dk = await http.owned()

    answer = await http.alice.call("PUT", "setDeviceInfo", carrier, pk=http.pk, dk=dk, deviceName=name)

    assert (answer.code, answer.data) == (200, None)
    assert (await http.alice.call("GET", "deviceInfo", pk=http.pk, dk=dk)).data["deviceName"] == name


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"deviceName": ""}, 5068),
        ({"deviceName": "x" * 255}, 5333),
        ({"deviceName": "a\0b"}, 8400),
        ({"pk": ""}, 5066),
        ({"dk": ""}, 5067),
        ({"dk": "NOSUCH"}, 5041),
        ({"pk": "p1none"}, 5041),
    ],
)
async def test_a_name_is_refused_and_the_old_one_stays(http: Http, changes: dict[str, str], code: int) -> None:
    dk = await http.owned()
    fields = {"pk": http.pk, "dk": dk, "deviceName": "new", **changes}

    assert (await http.alice.call("PUT", "setDeviceInfo", "json", **fields)).code == code

    assert (await http.alice.call("GET", "deviceInfo", pk=http.pk, dk=dk)).data["deviceName"] == dk


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_unbinding_says_how_many_owners_are_left(http: Http, carrier: str) -> None:
    dk = await http.owned()
    entry = http.world.center.registry.entry(f"qd{http.pk}{dk}")
    assert entry is not None
    await http.world.report(entry, OTHER_CODE)
    assert (await http.bob.bind(http.pk, dk, OTHER_CODE)).code == 200

    first = await http.alice.call("DELETE", "unbundlingDeviceDk", carrier, pk=http.pk, dk=dk, isInit="false")
    again = await http.alice.call("DELETE", "unbundlingDeviceDk", carrier, pk=http.pk, dk=dk)
    last = await http.bob.call("DELETE", "unbundlingDeviceDk", carrier, pk=http.pk, dk=dk)

    assert (first.code, first.data) == (200, {"bindingSum": 1})
    assert again.code == 5052
    assert (last.code, last.data) == (200, {"bindingSum": 0})


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_the_owner_gets_the_auth_key(http: Http, carrier: str) -> None:
    dk = await http.owned()

    answer = await http.alice.call("POST", "getAuthKey", carrier, pk=http.pk, dk=dk)

    assert answer.code == 200
    assert len(base64.b64decode(answer.data["authKey"])) == 16
    assert (await http.alice.call("GET", "deviceInfo", pk=http.pk, dk=dk)).data["authKey"] == answer.data["authKey"]


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_the_owner_gets_another_auth_key(http: Http, carrier: str) -> None:
    dk = await http.owned()
    before = (await http.alice.call("POST", "getAuthKey", pk=http.pk, dk=dk)).data["authKey"]

    answer = await http.alice.call("POST", "regenerateAuthKey", carrier, pk=http.pk, dk=dk)

    assert answer.code == 200
    assert answer.data["authKey"] != before
    assert (await http.alice.call("POST", "getAuthKey", pk=http.pk, dk=dk)).data == answer.data
    assert (await http.bob.call("POST", "regenerateAuthKey", carrier, pk=http.pk, dk=dk)).code == 5041


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_the_last_owner_resets_the_device_when_leaving(http: Http, carrier: str) -> None:
    dk = await http.owned()

    answer = await http.alice.call("DELETE", "unbundlingDeviceDk", carrier, pk=http.pk, dk=dk, isInit="true")

    entry = http.world.center.registry.entry("qd" + http.pk + dk)
    assert (answer.code, answer.data) == (200, {"bindingSum": 0})
    assert entry is not None
    assert entry.owes_reset


async def test_is_init_must_be_a_truth_value_and_else_nothing_changes(http: Http) -> None:
    dk = await http.owned()

    answer = await http.alice.call("DELETE", "unbundlingDeviceDk", pk=http.pk, dk=dk, isInit="perhaps")

    assert answer.code == 8400
    assert await http.alice.device_keys() == [dk]


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_binding_by_serial_number(http: Http, carrier: str) -> None:
    made = await http.world.product(allow_serial_binding=True)
    row = {"product_key": made.product_key, "device_key": "D7", "device_secret": "S" * 32, "serial": "SN-7"}
    imported = await http.operator.post("/api/v1/devices/import", json=[row])
    assert imported.status_code == 200

    bound = await http.alice.call(
        "POST", "bindDeviceSn", carrier, pk=made.product_key, sn="SN-7", deviceName="hall", dk="D1"
    )
    wrong = await http.bob.call("POST", "bindDeviceSn", carrier, pk=made.product_key, sn="SN-8")

    key = (await http.alice.call("POST", "getAuthKey", pk=made.product_key, dk="D7")).data["authKey"]
    assert (bound.code, bound.data) == (
        200,
        {"authKey": key, "dk": "D7", "pk": made.product_key, "moduleType": None},
    )
    assert (wrong.code, wrong.data) == (5090, None)
    shown = (await http.alice.call("GET", "deviceInfo", pk=made.product_key, dk="D7")).data
    assert (shown["sn"], shown["bindingType"], shown["deviceName"]) == ("SN-7", 1, "hall")


# ---- what clients call after listing


async def test_a_product_without_a_model_has_an_empty_one(http: Http) -> None:
    await http.owned()

    answer = await http.alice.call("GET", "productTSL", pk=http.pk, gatewayPk="")

    assert answer.code == 200
    assert answer.data["properties"] == []
    assert (await http.alice.call("GET", "productTSL")).code == 5066
    assert (await http.bob.call("GET", "productTSL", pk=http.pk)).code == 5041


async def test_attributes_are_what_the_device_told(http: Http) -> None:
    dk = await http.owned()
    entry = http.world.center.registry.entry(f"qd{http.pk}{dk}")
    assert entry is not None
    await http.world.frame(entry, 0x0034, [(1, 87), (2, 3.7), (3, -71)])
    await http.world.frame(entry, 0x0044, [(1, b"EC800M"), (2, b"FW1.2"), (3, b"0:1.0;"), (11, b"2.9.0"), (99, 1)])

    answer = await http.alice.call("GET", "getDeviceBusinessAttributes", pk=http.pk, dk=dk, type="1,2,3")

    assert answer.code == 200
    data = answer.data["deviceData"]
    assert (data["battery"], data["voltage"], data["signalStrength"]) == (87, 3.7, -71)
    assert (data["type"], data["version"], data["mcuVersion"], data["sdkVersion"]) == (
        "EC800M",
        "FW1.2",
        "0:1.0;",
        "2.9.0",
    )
    assert (data["productKey"], data["deviceKey"]) == (http.pk, dk)
    assert data["iccid"] is None
    assert answer.data["customizeTslInfo"] == []
    listed = (await http.alice.call("GET", "userDeviceList")).data["list"]
    assert listed[0]["signalStrength"] == -71


async def test_an_owner_reads_what_happened_to_the_device(http: Http) -> None:
    dk = await http.owned()
    await http.alice.call("PUT", "setDeviceInfo", pk=http.pk, dk=dk, deviceName="hall")
    await http.operator.post(f"/api/v1/devices/{http.pk}/{dk}/disable")

    answer = await http.alice.call("GET", "deviceAudit", pk=http.pk, dk=dk, pageSize=2)

    assert (answer.code, answer.data["total"], answer.data["pages"]) == (200, 3, 2)
    by_operator, own = answer.data["list"]
    assert (by_operator["who"], by_operator["action"], by_operator["address"]) == ("operator", "device.disabled", None)
    assert (own["who"], own["action"], own["result"], own["details"]) == ("you", "owner.renamed", "ok", {})
    assert own["address"].startswith("192.0.2.")
    assert own["timeTs"] == int(http.world.clock.now() * 1000)
    assert list(own) == ["time", "timeTs", "who", "action", "result", "address", "details"]


# ---- another user's device


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(
    ("method", "path", "extra", "code"),
    [
        ("GET", "deviceInfo", {}, 5052),
        ("PUT", "setDeviceInfo", {"deviceName": "mine now"}, 5041),
        ("DELETE", "unbundlingDeviceDk", {}, 5052),
        ("DELETE", "unbundlingDeviceDk", {"isInit": "true"}, 5052),
        ("POST", "getAuthKey", {}, 5041),
        ("POST", "regenerateAuthKey", {}, 5041),
        ("GET", "getDeviceBusinessAttributes", {}, 5052),
        ("GET", "deviceAudit", {}, 5052),
    ],
)
async def test_another_users_device_is_answered_like_none_at_all(
    http: Http, carrier: str, method: str, path: str, extra: dict[str, str], code: int
) -> None:
    dk = await http.owned()
    before = (await http.alice.call("GET", "deviceInfo", pk=http.pk, dk=dk)).data
    claims = {"uid": http.alice.uid, "ownerUid": http.alice.uid, "owner": "true"}

    theirs = await http.bob.call(method, path, carrier, pk=http.pk, dk=dk, **extra, **claims)
    none = await http.bob.call(method, path, carrier, pk=http.pk, dk="NOSUCH", **extra, **claims)

    assert theirs.code == code
    assert theirs == none
    assert (await http.alice.call("GET", "deviceInfo", pk=http.pk, dk=dk)).data == before


async def test_a_user_of_another_app_sees_nothing_of_it(http: Http) -> None:
    await http.owned()
    domain = await http.world.domain("Other App")
    await http.world.user(domain, "alice@example.com")
    namesake = App(http.network.client())
    assert (await namesake.sign_in(domain, "alice@example.com")).code == 200

    assert await namesake.device_keys() == []


async def test_two_meanings_of_one_request_are_refused(http: Http) -> None:
    mine, theirs = await http.owned("D1"), await http.owned("D2", http.bob)

    answers = [
        await http.alice.raw(
            "DELETE", "unbundlingDeviceDk", params={"pk": http.pk, "dk": mine}, data={"pk": http.pk, "dk": theirs}
        ),
        await http.alice.raw("DELETE", f"unbundlingDeviceDk?pk={http.pk}&dk={mine}&dk={theirs}"),
        await http.alice.raw(
            "DELETE", "unbundlingDeviceDk", content=f'{{"pk":"{http.pk}","dk":"{mine}","dk":"{theirs}"}}'
        ),
    ]

    assert [answer.code for answer in answers] == [8400] * 3
    assert await http.alice.device_keys() == [mine]
    assert await http.bob.device_keys() == [theirs]
