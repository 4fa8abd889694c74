"""App clients that others wrote for the platform: only their base URL, user domain and its secret are set to ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import landbook_api.api as landbook
import pytest
import unofficial_pecron_api.client as pecron
from landbook_api.local_protocol import field_for_property
from unofficial_pecron_api.exceptions import AuthenticationError, PecronAPIError

from tests.center.domain.power_station import power_station
from tests.e2e.center_process import CenterProcess
from tests.e2e.conftest import User, World, make_world
from tests.e2e.wire_by_hand import RawDevice, login_password, ttlv_bytes, ttlv_number

CODE = "89ABCDEF01234567"
STATUS_REPORT, INFO_REPORT, PROPERTY_REPORT = 0x0034, 0x0044, 0x0014


@dataclass
class Owner:
    """A user, and the device they own."""

    user: User
    dk: str


@pytest.fixture(scope="module")
def owner(world: World) -> Iterator[Owner]:
    """A device that enrolled, told about itself, reported its code and was bound; it stays connected."""
    user, dk = world.new_user(), world.new_device_key()
    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        secret = device.enrol(world.ps)
    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        assert device.connect(login_password(world.ps, secret)) == 0
        device.publish(STATUS_REPORT, ttlv_number(1, 87), packet_id=2)
        device.wait_puback(2)
        device.publish(INFO_REPORT, ttlv_bytes(1, b"EC800M") + ttlv_bytes(2, b"FW1.2"), packet_id=3)
        device.wait_puback(3)
        device.report_bind_code(CODE, 60, packet_id=4)
        assert user.bind(dk, CODE, deviceName="Power station")["code"] == 200
        yield Owner(user, dk)


@pytest.fixture(scope="module")
def station(center: CenterProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    """The same of a product with a thing model; it has reported what a power station reports."""
    world = make_world(center)
    file = tmp_path_factory.mktemp("tsl") / "tsl.json"
    file.write_text(json.dumps(power_station()))
    center.admin("product", "tsl", "import", world.pk, str(file))
    user, dk = world.new_user(), world.new_device_key()
    with RawDevice(center.mqtt_port, world.pk, dk) as device:
        device.enrol(world.ps)
        device.report_bind_code(CODE, 60, packet_id=4)
        assert user.bind(dk, CODE)["code"] == 200
        switch, output = b"\x00\x11", b"\x00\x4c\x00\x02" + ttlv_number(1, 230) + b"\x00\x11"
        device.publish(PROPERTY_REPORT, ttlv_number(1, 98) + switch + ttlv_number(5, 2) + output, 5, "bus")
        device.wait_puback(5)
        yield Owner(user, dk)


@pytest.mark.usefixtures("pecron_region")
class TestPecron:
    """`unofficial-pecron-api`: requests, sign-in as a form, no paging, no refresh."""

    def test_signs_in_and_lists_the_device(self, world: World, owner: Owner) -> None:
        with pecron.PecronAPI("EU") as api:
            api.login(owner.user.email, owner.user.password)

            (device,) = api.get_devices()

        assert (device.product_key, device.device_key) == (world.pk, owner.dk)
        assert (device.device_name, device.product_name, device.protocol) == ("Power station", "lamp", "MQTT")
        assert device.online

    def test_reads_the_details_it_asks_for_next(self, world: World, owner: Owner) -> None:
        with pecron.PecronAPI("EU") as api:
            api.login(owner.user.email, owner.user.password)
            (device,) = api.get_devices()

            properties = api.get_device_properties(device)
            information = api.get_device_info(device)
            model = api.get_product_tsl(device)

        assert device.firmware_version == "FW1.2"
        assert (properties.raw, model) == ([], [])
        assert information["deviceKey"] == owner.dk

    def test_reads_the_thing_model_and_the_values_by_it(self, station: Owner) -> None:
        domain = station.user.world
        ours = {"user_domain": domain.domain, "user_domain_secret": domain.domain_secret}
        pecron.REGIONS["EU"].update(ours)
        with pecron.PecronAPI("EU") as api:
            api.login(station.user.email, station.user.password)
            (device,) = api.get_devices()

            model = {each.code: each for each in api.get_product_tsl(device)}
            properties = api.get_device_properties(device)

        assert model["ac_switch_hm"].writable
        assert not model["battery_percentage"].writable
        spec = model["battery_percentage"].int_spec
        assert spec is not None
        assert (spec.min, spec.max, spec.step, spec.unit) == ("0", "100", "1", "%")
        assert model["mode"].enum_map == {"0": "Quiet", "2": "Fast"}
        assert (properties.battery_percentage, properties.ac_switch) == (98, True)
        assert properties.ac_output == {"voltage": "230", "live": True}
        assert properties.get_by_code("mode") == "2"

    def test_a_wrong_password_is_told_as_such(self, owner: Owner) -> None:
        with pecron.PecronAPI("EU") as api, pytest.raises(AuthenticationError) as refused:
            api.login(owner.user.email, "not-" + owner.user.password[:8])

        assert refused.value.code in range(5583, 5587)

    def test_a_stranger_gets_nothing_about_the_device(self, world: World, owner: Owner) -> None:
        stranger = world.new_user()
        with pecron.PecronAPI("EU") as api:
            api.login(owner.user.email, owner.user.password)
            (device,) = api.get_devices()
        with pecron.PecronAPI("EU") as api:
            api.login(stranger.email, stranger.password)

            assert api.get_devices() == []
            with pytest.raises(PecronAPIError):
                api.get_device_info(device)


class TestLandbook:
    """`landbook-api`: urllib, sign-in as a form, the `uid` claim read from the token, refresh as PUT with a form."""

    @pytest.fixture(autouse=True)
    def region(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        ours = {"api_base": world.center.url, "user_domain": world.domain, "app_domain_key": world.domain_secret}
        monkeypatch.setitem(landbook.REGIONS, "us", ours)

    def test_signs_in_and_lists_the_device(self, world: World, owner: Owner) -> None:
        token, uid, refresh_token = landbook.login(owner.user.email, owner.user.password)

        (device,) = landbook.get_device_list(token)

        assert token.startswith("Bearer ")
        assert refresh_token.startswith("Bearer ")
        assert uid.startswith("C")
        assert device["deviceKey"] == owner.dk
        assert landbook.get_tsl(token, world.pk) == []
        assert landbook.get_device_attributes(token, world.pk, owner.dk)["deviceData"]["battery"] == 87

    def test_reads_the_thing_model_and_the_values_by_it(self, station: Owner) -> None:
        domain = station.user.world
        landbook.REGIONS["us"].update(user_domain=domain.domain, app_domain_key=domain.domain_secret)
        token, _, _ = landbook.login(station.user.email, station.user.password)

        (device,) = landbook.get_device_list(token)
        model = landbook.get_tsl(token, domain.pk)
        values = landbook.get_device_attributes(token, domain.pk, station.dk)["customizeTslInfo"]

        assert device["deviceKey"] == station.dk
        assert [each["code"] for each in model][:2] == ["ac_switch_hm", "target"]
        assert all("W" in each["subType"] for each in model)
        fields = {each["code"]: field_for_property(each["id"], each["dataType"], True) for each in model[:1]}
        assert fields["ac_switch_hm"].id == 2
        assert {each["resourceCode"]: each["resourceValce"] for each in values} == {
            "battery_percentage": "98",
            "ac_switch_hm": "true",
            "mode": "2",
            "ac_data_output_hm": '{"voltage":"230","live":true}',
        }

    def test_refreshes_its_tokens_and_goes_on(self, owner: Owner) -> None:
        token, _, refresh_token = landbook.login(owner.user.email, owner.user.password)

        token, refresh_token = landbook.refresh_token(token, refresh_token)
        token, refresh_token = landbook.refresh_token(token, refresh_token)

        assert [device["deviceKey"] for device in landbook.get_device_list(token)] == [owner.dk]

    def test_a_refresh_token_that_is_used_up_is_over_when_the_next_one_was_used(self, owner: Owner) -> None:
        token, _, refresh_token = landbook.login(owner.user.email, owner.user.password)
        new = landbook.refresh_token(token, refresh_token)
        assert landbook.refresh_token(token, refresh_token) == new
        landbook.refresh_token(*new)

        with pytest.raises(landbook.LandbookAuthError):
            landbook.refresh_token(token, refresh_token)

    def test_a_wrong_password_is_told_as_such(self, owner: Owner) -> None:
        with pytest.raises(landbook.LandbookAuthError, match="left"):
            landbook.login(owner.user.email, "not-" + owner.user.password[:8])
