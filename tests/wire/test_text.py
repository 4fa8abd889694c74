"""The UTF-8 check that MicroPython needs, held against CPython's own decoder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quecbind.wire import _text


def verdict_of_cpython(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def verdict_of_the_walk(data: bytes) -> str | None:
    try:
        return _text._walk(data)
    except UnicodeError:
        return None


@given(st.one_of(st.binary(max_size=8), st.text(max_size=4).map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_walk_agrees_with_cpython(data: bytes) -> None:
    assert verdict_of_the_walk(data) == verdict_of_cpython(data)


def test_walk_agrees_with_cpython_about_every_lead_and_second_byte() -> None:
    for lead in range(256):
        for second in range(256):
            for tail in (b"", b"\x80", b"\x80\x80", b"\x80\xc0", b"a"):
                data = bytes((lead, second)) + tail
                assert verdict_of_the_walk(data) == verdict_of_cpython(data), data


@pytest.mark.parametrize(
    "data", [b"", b"a-b", b"a b", b"a\0", "ä".encode(), b"\xff", b"@", b"[", b"`", b"{", b"/", b":"]
)
def test_alphanumeric_is_letters_and_digits_of_ascii(data: bytes) -> None:
    assert not _text.is_alphanumeric(data)
    assert not _text._is_alphanumeric(data)
    assert _text.is_alphanumeric(b"09AZaz")
    assert _text._is_alphanumeric(b"09AZaz")
