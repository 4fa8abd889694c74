"""Proofs: the measured passwords, what each wrong one is answered, and that nothing secret gets into a sentence."""

import base64
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.examples import AUTH_KEY, RANDOM, TOKEN, load

from quecbind.wire import _aes, _hmac, signing
from quecbind.wire.errors import CipherError, LoginError

VECTORS = load("device-auth.json")
PK, PS, DK, DS = "p1115X", "d2c5Q1FsVWpwT1k3", "861122334455667", "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY"


@pytest.mark.parametrize("record", VECTORS["first_login"], ids=lambda record: record["client_id"])
def test_measured_first_login_is_built_and_opened(record: dict[str, Any]) -> None:
    flag = bool(record["session_flag"])

    password = signing.first_login(record["pk"], record["ps"], record["dk"], record["random"], flag)
    first = signing.parse_login(password.encode())

    assert password == record["password"]
    assert first == signing.FirstLogin(flag, record["pk"], bytes.fromhex(record["aes_ciphertext_hex"]))
    assert signing.open_first_login(first, record["ps"], record["dk"]) == record["random"]


@pytest.mark.parametrize("record", VECTORS["login"], ids=lambda record: record["ds"] + record["random"])
def test_measured_login_is_built_and_verified(record: dict[str, Any]) -> None:
    flag = bool(record["session_flag"])

    password = signing.login(record["ps"], record["ds"], record["random"], flag)
    login = signing.parse_login(password)

    assert password == record["password"]
    assert login == signing.Login(flag, record["random"], record["sign"].encode())
    signing.verify_login(login, record["ps"], record["ds"])


@pytest.mark.parametrize("record", VECTORS["session_payload"], ids=lambda record: record["key_hex"])
def test_measured_session_payload(record: dict[str, str]) -> None:
    key, plain, cipher = (bytes.fromhex(record[name]) for name in ("key_hex", "plain_hex", "cipher_hex"))

    assert signing.session_encrypt(key, plain) == cipher
    assert signing.session_decrypt(key, cipher) == plain


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("", 10424),
        ("1", 10424),
        (";;;", 10433),
        ("1;0000;0123456789ABCDEF", 10424),
        ("1;0000;0123456789ABCDEF;x;y", 10424),
        ("2;0000;0123456789ABCDEF;x", 10424),
        ("1;0002;0123456789ABCDEF;" + "A" * 44, 10433),
        ("1;;0123456789ABCDEF;" + "A" * 44, 10433),
        ("1;0000;0123456789ABCDE;" + "A" * 44, 10424),
        ("1;0000;0123456789ABCDEF0;" + "A" * 44, 10424),
        ("1;0000;0123456789ABCDE-;" + "A" * 44, 10424),
        ("1;0000;0123456789ABCD\u00e9;" + "A" * 44, 10424),
        ("1;0000;0123456789ABCDEF;" + "A" * 43, 10424),
        ("1;0000;0123456789ABCDEF;" + "A" * 500, 10424),
        ("0;0000;;" + "A" * 22 + "==", 10423),
        ("0;0000;" + "p" * 33 + ";" + "A" * 22 + "==", 10423),
        ("0;0000;p1/11X;" + "A" * 22 + "==", 10423),
        ("0;0000;p1115X;", 10424),
        ("0;0000;p1115X;!!!!", 10424),
        ("0;0000;p1115X;AAAA", 10424),
        ("0;0000;p1115X;" + "A" * 22 + "=", 10424),
        ("0;0000;p1115X;" + "A" * 21 + "B==", 10424),
        ("0;0000;p1115X; " + "A" * 22 + "==", 10424),
        ("\ud800;0000;a;b", 10424),
    ],
)
def test_malformed_password_is_answered_with_its_code(password: str, code: int) -> None:
    with pytest.raises(LoginError) as caught:
        signing.parse_login(password)

    assert caught.value.code == code
    assert "ABCDEF" not in str(caught.value)


def first_login_of(plain: str) -> signing.FirstLogin:
    key, iv = signing._product_cipher(PS)
    return signing.FirstLogin(False, PK, _aes.encrypt(key, iv, plain.encode()))


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (signing.FirstLogin(False, PK, bytes(16)), 10424),
        (signing.FirstLogin(False, PK, b"short"), 10424),
        (first_login_of(f"{DK};{RANDOM}"), 10424),
        (first_login_of(f"{DK};{RANDOM};x;y"), 10424),
        (first_login_of(f"{DK};short;{'A' * 44}"), 10424),
        (first_login_of(f"{DK}0;{RANDOM};{'A' * 44}"), 10434),
        (first_login_of(f"{DK};{RANDOM};{'A' * 44}"), 10425),
        (first_login_of(f"{DK};{RANDOM};"), 10425),
    ],
)
def test_wrong_first_login_is_answered_with_its_code(first: signing.FirstLogin, code: int) -> None:
    with pytest.raises(LoginError) as caught:
        signing.open_first_login(first, PS, DK)

    assert caught.value.code == code


def test_first_login_is_not_readable_with_another_products_secret() -> None:
    first = signing.parse_login(signing.first_login(PK, PS, DK, RANDOM))

    with pytest.raises(LoginError) as caught:
        signing.open_first_login(first, "0" * 16, DK)

    assert caught.value.code == 10424


def test_first_login_signature_covers_what_the_key_leaves_out_of_a_long_secret() -> None:
    """The AES key is the first 16 bytes of the product secret; the IV and SIGN cover all of it."""
    first = signing.parse_login(signing.first_login(PK, PS + "A", DK, RANDOM))

    with pytest.raises(LoginError):
        signing.open_first_login(first, PS + "B", DK)


def test_short_product_secret_is_filled_with_nul() -> None:
    first = signing.parse_login(signing.first_login(PK, "short", DK, RANDOM))

    assert signing.open_first_login(first, "short", DK) == RANDOM


@pytest.mark.parametrize(("product_secret", "device_secret"), [(PS, DS + "0"), (PS + "0", DS), ("", ""), (DS, PS)])
def test_login_with_other_secrets_is_refused(product_secret: str, device_secret: str) -> None:
    login = signing.parse_login(signing.login(PS, DS, RANDOM))

    with pytest.raises(LoginError, match="the signature is wrong") as caught:
        signing.verify_login(login, product_secret, device_secret)

    assert caught.value.code == 10430


@pytest.mark.parametrize("random", ["", "short", "0123456789ABCDEF0", "0123456789ABCDE;"])
def test_random_that_no_device_would_draw_is_not_signed(random: str) -> None:
    with pytest.raises(LoginError, match="RAND must be 16"):
        signing.login(PS, DS, random)
    with pytest.raises(LoginError, match="RAND must be 16"):
        signing.first_login(PK, PS, DK, random)


def test_repr_of_a_login_is_no_password() -> None:
    for password in (signing.login(PS, DS, RANDOM), signing.first_login(PK, PS, DK, RANDOM)):
        parsed = signing.parse_login(password)

        assert password[-8:] not in repr(parsed)
        assert repr(parsed).startswith(type(parsed).__name__ + "(")
        assert repr(parsed).endswith("=<hidden>)")


def test_encrypted_session_is_asked_for_only_on_purpose() -> None:
    for password in (signing.login(PS, DS, RANDOM), signing.first_login(PK, PS, DK, RANDOM)):
        assert signing.parse_login(password).session_flag is False


def test_password_of_512_bytes_is_read_and_one_of_513_is_not() -> None:
    longest = b"0;0000;" + PK.encode() + b";" + base64.b64encode(bytes(368)) + b"A"
    longest = longest.replace(b"A", b"A" * (signing.MAX_PASSWORD - len(longest) + 1), 1)
    assert len(longest) == signing.MAX_PASSWORD

    # It is judged by its last part, which is no Base64; a longer one by its length.
    with pytest.raises(LoginError, match="AES blocks"):
        signing.parse_login(longest)
    with pytest.raises(LoginError, match="over 512"):
        signing.parse_login(longest + b"A")


def test_session_key_of_another_size_is_refused() -> None:
    with pytest.raises(CipherError, match="16 bytes"):
        signing.session_encrypt(b"short", b"x")


@pytest.mark.parametrize("data", [b"", bytes(15), bytes(17), bytes(16)])
def test_session_payload_that_is_not_ours_is_refused(data: bytes) -> None:
    with pytest.raises(CipherError):
        signing.session_decrypt(AUTH_KEY, data)


@pytest.mark.parametrize("pad", [0, 17, 255])
def test_padding_is_checked_to_its_last_byte(pad: int) -> None:
    bad = _aes._encrypt(AUTH_KEY, AUTH_KEY, bytes(15) + bytes((pad,)))
    mixed = _aes._encrypt(AUTH_KEY, AUTH_KEY, bytes(14) + b"\x03\x02")

    for ciphertext in (bad, mixed):
        with pytest.raises(CipherError, match="padding is wrong"):
            _aes.decrypt(AUTH_KEY, AUTH_KEY, ciphertext)


def test_padding_is_removed_even_where_devices_leave_it_on() -> None:
    """14 bytes that end in the pad value are what the device's own removal gets wrong."""
    plain = bytes(14) + b"\x01"

    assert signing.session_decrypt(AUTH_KEY, signing.session_encrypt(AUTH_KEY, plain)) == plain


def test_lan_example() -> None:
    assert signing.lan_token(AUTH_KEY, RANDOM) == TOKEN
    assert signing.lan_token(AUTH_KEY, "0123456789abcdef").startswith("0a80adf14b01")
    for plain, cipher in (
        ("0131", "3bd0c625992d63206229b918923a5c96"),
        ("000a0000", "91bc264ac13a81ec553c28a0baef66f5"),
        ("000a001e00120001", "c1b78ac5276df55a3ca611381c7cb8a7"),
    ):
        assert signing.lan_encrypt(AUTH_KEY, RANDOM, bytes.fromhex(plain)).hex() == cipher
        assert signing.lan_decrypt(AUTH_KEY, RANDOM, bytes.fromhex(cipher)).hex() == plain


def test_lan_nothing_is_sent_as_nothing_and_read_in_both_forms() -> None:
    assert signing.lan_encrypt(AUTH_KEY, RANDOM, b"") == b""
    assert signing.lan_decrypt(AUTH_KEY, RANDOM, b"") == b""
    assert signing.lan_decrypt(AUTH_KEY, RANDOM, bytes.fromhex("13786a354a14e7f13d76333674bc7ccc")) == b""


def test_token_of_a_device_that_has_ble_alone_is_made_from_its_bind_code() -> None:
    token = signing.lan_token(b"0123456789ABCDEF", RANDOM)

    assert token == "e2381cd724c6296fc243f9856b33d4a606d2d6d42d308f20c475a59d2339dfbe"


@pytest.mark.parametrize(
    ("plain", "blob"),
    [
        ("0123456789ABCDEF", "HOZShycuWyllWQV2J30Vz5dR3PQOCpijX648Cvk432Q="),
        ("p11abc,aabbccddeeff,FEDCBA9876543210", "CP+3K3BITC8mm4W9+aY5nOTsMO31BSXPgAJRzuQ7WMaIa++blMxaLlDfjvW12Qw4"),
    ],
)
def test_ble_blob_example(plain: str, blob: str) -> None:
    ciphertext = _aes.encrypt(b"QWERTYuiop123456", RANDOM.encode(), plain.encode())

    assert base64.b64encode(ciphertext).decode() == blob


def test_reset_proof_is_made_and_verified_with_the_kept_key() -> None:
    key = signing.reset_key(DS, DK)

    user_name = signing.reset_user_name(key, RANDOM)

    assert key == hmac.digest(DS.encode(), f"rst;{DK}".encode(), "sha256")
    assert user_name.startswith(f"rst;{RANDOM};")
    assert signing.verify_reset_user_name(user_name.encode(), key) == RANDOM
    assert signing.verify_reset_user_name(user_name, key) == RANDOM


@pytest.mark.parametrize(
    ("user_name", "code"),
    [
        ("", 10424),
        ("rst;x", 10424),
        (f"xyz;{RANDOM};{'A' * 44}", 10424),
        (f"rst;short;{'A' * 44}", 10424),
        (f"rst;{RANDOM};{'A' * 43}", 10424),
        (f"rst;{RANDOM};{'A' * 44}", 10425),
        ("rst;" * 500, 10424),
        ("\ud800", 10424),
    ],
)
def test_wrong_reset_proof_is_answered_with_its_code(user_name: str, code: int) -> None:
    with pytest.raises(LoginError) as caught:
        signing.verify_reset_user_name(user_name, signing.reset_key(DS, DK))

    assert caught.value.code == code


def test_reset_proof_of_another_device_or_secret_is_refused() -> None:
    user_name = signing.reset_user_name(signing.reset_key(DS, DK), RANDOM)

    for key in (signing.reset_key(DS, "other"), signing.reset_key("other", DK)):
        with pytest.raises(LoginError, match="another key"):
            signing.verify_reset_user_name(user_name, key)


def test_app_password_example() -> None:
    assert signing.app_password_encrypt("china1234", "j1acpdj2bmtqZXVb") == "lkZMvj0KDSJXlp66jBieHA=="
    assert signing.app_password_decrypt("lkZMvj0KDSJXlp66jBieHA==", "j1acpdj2bmtqZXVb") == "china1234"


@pytest.mark.parametrize("encrypted", ["lkZMvj0KDSJXlp66jBieHA==\n", "lkZMvj0K\r\nDSJXlp66jBieHA==\r\n"])
def test_app_password_in_lines_as_android_breaks_them(encrypted: str) -> None:
    assert signing.app_password_decrypt(encrypted, "j1acpdj2bmtqZXVb") == "china1234"


@pytest.mark.parametrize(
    ("encrypted", "random"),
    [
        ("", "r"),
        ("!!", "r"),
        ("AAAA", "r"),
        ("lkZMvj0KDSJXlp66jBieHA==", "another random"),
        ("lkZMvj0KDSJXlp66jBieHA=", "j1acpdj2bmtqZXVb"),
        ("\ud800", "r"),
        ("lkZMvj0KDSJXlp66jBieHA==", "\ud800"),
    ],
)
def test_app_password_that_cannot_be_read_is_refused(encrypted: str, random: str) -> None:
    with pytest.raises(CipherError):
        signing.app_password_decrypt(encrypted, random)


def test_app_password_that_is_no_text_is_refused() -> None:
    key, iv = signing._app_cipher("r")
    encrypted = base64.b64encode(_aes.encrypt(key, iv, b"\xff\xfe")).decode()

    with pytest.raises(CipherError, match="not text"):
        signing.app_password_decrypt(encrypted, "r")


def test_app_signature_examples() -> None:
    secret = "57Fk69oYgbs2aWWN362NtZwYB2RqKNqQ7yZESnF5VM22"

    sms = signing.app_signature("17132136550", "3", "76a6L647F02CAoN9", "1744773894369", secret)
    sign_in = signing.app_signature("86", "17132136550", "KbbO5AsWloh9gulLei6NhQ==", "abcdef", secret)

    assert sms == "2deb6518ca0ee701e28a6359a91270c59dbe69456a3336dc5f625bfa32e64df6"
    assert sign_in == "1fd91ebf096be51dae1c6055bc930bd8e24b1f477d2a47ae87eedb0f73057bf0"
    with pytest.raises(CipherError, match="surrogate"):
        signing.app_signature("\ud800")


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ("abc", "abc", True),
        ("abc", b"abc", True),
        (b"abc", b"abx", False),
        ("abc", "ab", False),
        ("ä", "ä", True),
        ("\ud800", "\ud800", True),
        ("\ud800", "a", False),
        ("", "", True),
    ],
)
def test_same_compares_text_and_bytes(a: str | bytes, b: str | bytes, equal: bool) -> None:
    assert signing.same(a, b) is equal


def test_hmac_example_of_rfc_4231() -> None:
    digest = _hmac.sha256(b"Jefe", b"what do ya want for nothing?")

    assert digest.hex() == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


ALPHANUMERIC = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", min_size=1, max_size=32)
RANDOMS = st.text("0123456789ABCDEFabcdef", min_size=16, max_size=16)


@given(ALPHANUMERIC, ALPHANUMERIC, ALPHANUMERIC, RANDOMS, st.booleans())
def test_any_login_round_trips(product_secret: str, key: str, secret: str, random: str, flag: bool) -> None:
    first = signing.parse_login(signing.first_login(key, product_secret, key, random, flag))
    login = signing.parse_login(signing.login(product_secret, secret, random, flag))

    assert (first.session_flag, first.product_key) == (flag, key)
    assert signing.open_first_login(first, product_secret, key) == random
    signing.verify_login(login, product_secret, secret)


@given(st.binary(max_size=80))
def test_any_plain_text_survives_both_ciphers(plain: bytes) -> None:
    assert signing.session_decrypt(AUTH_KEY, signing.session_encrypt(AUTH_KEY, plain)) == plain
    assert signing.lan_decrypt(AUTH_KEY, RANDOM, signing.lan_encrypt(AUTH_KEY, RANDOM, plain)) == plain


@given(st.text(max_size=40), st.text(st.characters(exclude_categories=("Cs",)), max_size=20))
def test_any_password_a_user_can_type_survives(password: str, random: str) -> None:
    try:
        password.encode()
    except UnicodeError:
        return
    assert signing.app_password_decrypt(signing.app_password_encrypt(password, random), random) == password
