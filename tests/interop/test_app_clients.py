"""App clients that others wrote for the platform: only their base URL, user domain and its secret are set to ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import landbook_api.api as landbook
import pytest
import unofficial_pecron_api.client as pecron
from unofficial_pecron_api.exceptions import AuthenticationError, PecronAPIError

from tests.e2e.conftest import User, World
from tests.e2e.wire_by_hand import RawDevice, login_password, ttlv_bytes, ttlv_number

CODE = "89ABCDEF01234567"
STATUS_REPORT, INFO_REPORT = 0x0034, 0x0044


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


class TestPecron:
    """`unofficial-pecron-api`: requests, sign-in as a form, no paging, no refresh."""

    @pytest.fixture(autouse=True)
    def region(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        ours = {"base_url": world.center.url, "user_domain": world.domain, "user_domain_secret": world.domain_secret}
        monkeypatch.setitem(pecron.REGIONS, "EU", ours)

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

    def test_refreshes_its_tokens_and_goes_on(self, owner: Owner) -> None:
        token, _, refresh_token = landbook.login(owner.user.email, owner.user.password)

        token, refresh_token = landbook.refresh_token(token, refresh_token)
        token, refresh_token = landbook.refresh_token(token, refresh_token)

        assert [device["deviceKey"] for device in landbook.get_device_list(token)] == [owner.dk]

    def test_a_refresh_token_works_once(self, owner: Owner) -> None:
        token, _, refresh_token = landbook.login(owner.user.email, owner.user.password)
        landbook.refresh_token(token, refresh_token)

        with pytest.raises(landbook.LandbookAuthError):
            landbook.refresh_token(token, refresh_token)

    def test_a_wrong_password_is_told_as_such(self, owner: Owner) -> None:
        with pytest.raises(landbook.LandbookAuthError, match="left"):
            landbook.login(owner.user.email, "not-" + owner.user.password[:8])
