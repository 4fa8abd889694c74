"""The client against the real App API: what each call gives, and what happens when it does not work."""

import asyncio
import json

import httpx
import pytest

from quecbind.app.client import EMAIL_RESET, AppClient, uid_in_token
from quecbind.app.errors import AnswerError, RefusedError, UnreachableError
from quecbind.app.results import Tokens, share_code_of
from quecbind.center.domain.connection import Accepted, Complaint
from tests.app.conftest import EMAIL, Scene
from tests.center.services.world import CODE, OTHER_CODE, PASSWORD

HOUR_S = 3600


class TestAccount:
    async def test_signing_in_gives_tokens_and_the_uid_inside_them(self, scene: Scene) -> None:
        tokens = await scene.app.sign_in(EMAIL, PASSWORD)

        assert tokens.access_token.startswith("Bearer ")
        assert tokens.refresh_token != tokens.access_token
        assert scene.app.uid == (await scene.app.user_info()).uid

    async def test_a_wrong_password_is_refused_with_the_tries_left(self, scene: Scene) -> None:
        with pytest.raises(RefusedError) as refused:
            await scene.app.sign_in(EMAIL, "wrong1!")

        assert refused.value.code == 5586
        assert "4 tries" in refused.value.help
        assert scene.app.tokens is None

    async def test_a_wrong_user_domain_secret_is_refused(self, scene: Scene) -> None:
        async with scene.another_app(secret="0" * 44) as app:
            with pytest.raises(RefusedError) as refused:
                await app.sign_in(EMAIL, PASSWORD)

        assert refused.value.code == 5420

    async def test_a_user_registers_with_the_mailed_code_and_signs_in(self, scene: Scene) -> None:
        await scene.app.send_email_code("bea@example.com")

        uid = await scene.app.register("bea@example.com", "bea-pass1", scene.world.mailbox.last_code, lang="en")

        await scene.app.sign_in("bea@example.com", "bea-pass1")
        assert scene.app.uid == uid
        assert (await scene.app.user_info()).email == "bea@example.com"

    async def test_a_forgotten_password_is_reset_with_the_mailed_code(self, scene: Scene) -> None:
        await scene.app.send_email_code(EMAIL, EMAIL_RESET)

        await scene.app.reset_password(EMAIL, "another1!", scene.world.mailbox.last_code)

        with pytest.raises(RefusedError):
            await scene.app.sign_in(EMAIL, PASSWORD)
        assert await scene.app.sign_in(EMAIL, "another1!")

    async def test_signing_out_ends_the_session(self, signed_in: Scene) -> None:
        tokens = signed_in.app.tokens

        await signed_in.app.sign_out()

        assert signed_in.app.tokens is None
        assert tokens is not None
        signed_in.app.resume(tokens)
        with pytest.raises(RefusedError) as refused:
            await signed_in.app.user_info()
        assert refused.value.code == 5489

    async def test_without_a_session_a_call_is_refused(self, scene: Scene) -> None:
        with pytest.raises(RefusedError) as refused:
            await scene.app.devices()

        assert refused.value.code == 5106


class TestRenewal:
    async def test_an_expired_access_token_is_renewed_without_the_caller_noticing(self, signed_in: Scene) -> None:
        before = signed_in.app.tokens
        signed_in.world.clock.move(3 * HOUR_S)

        page = await signed_in.app.devices()

        assert page.total == 0
        assert signed_in.app.tokens != before

    async def test_calls_at_the_same_time_renew_once(self, signed_in: Scene) -> None:
        signed_in.world.clock.move(3 * HOUR_S)

        users = await asyncio.gather(*(signed_in.app.user_info() for _ in range(5)))

        assert {user.email for user in users} == {EMAIL}

    async def test_a_refresh_token_that_is_over_too_ends_the_session(self, signed_in: Scene) -> None:
        signed_in.world.clock.move(31 * 24 * HOUR_S)

        with pytest.raises(RefusedError):
            await signed_in.app.user_info()

        assert signed_in.app.tokens is None

    async def test_refresh_rotates_both_tokens(self, signed_in: Scene) -> None:
        before = signed_in.app.tokens
        assert before is not None
        signed_in.world.clock.move(1)

        after = await signed_in.app.refresh()

        assert after.refresh_token != before.refresh_token
        assert after.access_token != before.access_token

    async def test_refresh_without_a_session_is_refused(self, scene: Scene) -> None:
        with pytest.raises(RefusedError):
            await scene.app.refresh()


class TestBinding:
    async def test_a_device_is_bound_by_its_code_listed_renamed_and_unbound(self, signed_in: Scene) -> None:
        app, pk = signed_in.app, signed_in.product.product_key
        await signed_in.device_with_code("D1")

        preview = await app.may_bind(pk, "D1")
        binding = await app.bind_by_code(pk, "D1", CODE, "Lamp")
        await app.rename(pk, "D1", "Desk lamp")
        page = await app.devices()
        device = await app.device(pk, "D1")
        key = await app.auth_key(pk, "D1")
        left = await app.unbind(pk, "D1")

        assert (preview.product_name, preview.bind_mode) == ("lamp", 2)
        assert binding.bind_mode == 2
        assert binding.auth_key == key == device.auth_key
        assert [one.device_key for one in page.devices] == ["D1"]
        assert (device.name, device.is_verified, device.is_shared) == ("Desk lamp", True, False)
        assert device.owner_uid == app.uid
        assert left == 0
        assert (await app.devices()).devices == ()

    @pytest.mark.parametrize("by_owner", [True, False])
    async def test_a_device_is_shared_and_the_share_ended_by_either(self, signed_in: Scene, *, by_owner: bool) -> None:
        app, pk = signed_in.app, signed_in.product.product_key
        await signed_in.device_with_code("D1")
        await app.bind_by_code(pk, "D1", CODE)
        await signed_in.world.user(signed_in.domain, "bob@example.com")
        until_ms = round(signed_in.world.clock.now() * 1000) + 60_000

        async with signed_in.another_app() as member:
            await member.sign_in("bob@example.com", PASSWORD)
            code = await app.share(pk, "D1", until_ms, until_ms + 1, cover_mark=2)
            await member.accept_share(code, "Bob's")
            device = await member.device(pk, "D1")
            await (app.revoke_share(code) if by_owner else member.leave_share(code))

            assert (device.name, device.is_shared, device.owner_uid) == ("Bob's", True, app.uid)
            assert (await member.devices()).devices == ()
            with pytest.raises(RefusedError) as refused:
                await member.accept_share(code)
            assert refused.value.code == 5137

    async def test_a_share_code_that_is_none_is_an_answer_error(self) -> None:
        for data in (None, "", {"shareCode": "x"}):
            with pytest.raises(AnswerError):
                share_code_of(data)

    async def test_the_owner_lets_a_device_enrol_again_which_resets_it(self, signed_in: Scene) -> None:
        app, pk = signed_in.app, signed_in.product.product_key
        await signed_in.device_with_code("D1")
        await app.bind_by_code(pk, "D1", CODE, "Lamp")
        refused = await signed_in.world.enrol(signed_in.product, "D1")

        await app.approve_re_enrolment(pk, "D1")
        allowed = await signed_in.world.enrol(signed_in.product, "D1")

        assert refused == Complaint(10422)
        assert isinstance(allowed, Accepted)
        assert (await app.devices()).devices == ()

    async def test_a_code_that_was_not_reported_differs_or_is_over_is_refused(self, signed_in: Scene) -> None:
        app, pk = signed_in.app, signed_in.product.product_key
        entry = await signed_in.world.device(signed_in.product, "D1")

        codes = [await self._refusal(app, pk, CODE)]
        await signed_in.world.report(entry, CODE, 120)
        codes.append(await self._refusal(app, pk, OTHER_CODE))
        signed_in.world.clock.move(121)
        codes.append(await self._refusal(app, pk, CODE))

        assert codes == [5460, 5462, 5461]

    async def test_binding_by_device_key_is_off_unless_the_product_allows_it(self, signed_in: Scene) -> None:
        await signed_in.world.device(signed_in.product, "D1")

        with pytest.raises(RefusedError) as refused:
            await signed_in.app.bind_by_device_key(signed_in.product.product_key, "D1", "Lamp")

        assert refused.value.code == 5499

    async def test_too_many_wrong_codes_say_how_long_to_wait(self, signed_in: Scene) -> None:
        await signed_in.device_with_code("D1")
        for _ in range(10):
            assert await self._refusal(signed_in.app, signed_in.product.product_key, OTHER_CODE) == 5462

        with pytest.raises(RefusedError) as refused:
            await signed_in.app.bind_by_code(signed_in.product.product_key, "D1", OTHER_CODE)

        assert refused.value.code == 8429
        assert refused.value.retry_after_s is not None
        assert 0 < refused.value.retry_after_s <= 600

    async def test_pages_count_all_devices(self, signed_in: Scene) -> None:
        for number in range(3):
            await signed_in.device_with_code(f"D{number}")
            await signed_in.app.bind_by_code(signed_in.product.product_key, f"D{number}", CODE)

        first, second = await signed_in.app.devices(1, 2), await signed_in.app.devices(2, 2)

        assert (len(first.devices), len(second.devices), first.total, first.pages) == (2, 1, 3, 2)

    @staticmethod
    async def _refusal(app: AppClient, product_key: str, code: str) -> int:
        with pytest.raises(RefusedError) as refused:
            await app.bind_by_code(product_key, "D1", code)
        return refused.value.code


class TestAnswersThatMakeNoSense:
    @staticmethod
    def client(content: bytes, status: int = 200) -> AppClient:
        answer = httpx.MockTransport(lambda request: httpx.Response(status, content=content))
        return AppClient("http://center", "D", "S", answer)

    @pytest.mark.parametrize(
        "content",
        [
            *(b"", b"<html>502</html>", b"[]", b"null", b"[" * 100_000, b'{"msg": "x"}'),
            *(b'{"code": "abc"}', b'{"code": null}', b'{"code": Infinity}', b'{"code": 1e999}'),
        ],
    )
    async def test_an_answer_that_is_no_envelope_is_an_answer_error(self, content: bytes) -> None:
        async with self.client(content) as app:
            with pytest.raises(AnswerError):
                await app.sign_in(EMAIL, PASSWORD)

    @pytest.mark.parametrize("data", [None, [], "x", {}, {"accessToken": {}}, {"accessToken": {"token": "a"}}])
    async def test_tokens_that_are_missing_are_an_answer_error(self, data: object) -> None:
        async with self.client(json.dumps({"code": 200, "data": data}).encode()) as app:
            with pytest.raises(AnswerError):
                await app.sign_in(EMAIL, PASSWORD)

    async def test_a_failure_may_leave_out_everything_but_its_number(self) -> None:
        async with self.client(b'{"code": "5032"}') as app:
            with pytest.raises(RefusedError) as refused:
                await app.user_info()

        assert refused.value.code == 5032
        assert refused.value.message

    @pytest.mark.parametrize("wait", [b'"soon"', b"null", b"1" + b"0" * 400])
    async def test_a_wait_that_is_no_number_of_seconds_is_none(self, wait: bytes) -> None:
        async with self.client(b'{"code": 8429, "extMsg": {"retryAfter": %b}}' % wait) as app:
            with pytest.raises(RefusedError) as refused:
                await app.user_info()

        assert refused.value.retry_after_s is None

    async def test_a_platform_that_cannot_be_reached_is_said_to_be(self) -> None:
        def refuse(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused", request=request)

        async with AppClient("http://center", "D", "S", httpx.MockTransport(refuse)) as app:
            with pytest.raises(UnreachableError) as unreachable:
                await app.user_info()

        assert "http://center" in str(unreachable.value)

    async def test_nonsense_for_an_address_is_said_to_be(self) -> None:
        async with AppClient("localhost:1", "D", "S") as app:
            with pytest.raises(UnreachableError):
                await app.user_info()

    async def test_5032_after_renewal_is_given_to_the_caller(self) -> None:
        asked: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request.url.path.rpartition("/")[2])
            if asked[-1] != "refreshToken":
                return httpx.Response(200, json={"code": 5032})
            tokens = {"accessToken": {"token": "Bearer c"}, "refreshToken": {"token": "Bearer d"}}
            return httpx.Response(200, json={"code": 200, "data": tokens})

        async with AppClient("http://center", "D", "S", httpx.MockTransport(answer)) as app:
            app.resume(Tokens("Bearer a", "Bearer b", 0, 0))
            with pytest.raises(RefusedError):
                await app.user_info()

        assert asked == ["userInfo", "refreshToken", "userInfo"]


@pytest.mark.parametrize("token", ["", "Bearer", "a.b.c", "a.e30.c", "a.bnVsbA.c", "a.%%.c", f"a.{'W1tb' * 30_000}.c"])
def test_a_token_without_a_uid_gives_none(token: str) -> None:
    assert not uid_in_token(token)
