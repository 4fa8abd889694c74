"""Reading parameters: three carriers, one meaning; measured before parsed."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quecbind.center.http.limits import BodyTooLargeError, Limits, ParameterError
from quecbind.center.http.parameters import Parameters, read

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=cut"


def multipart_body(*parts: tuple[str, bytes]) -> bytes:
    body = b"".join(
        b'--cut\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value)
        for name, value in parts
    )
    return body + b"--cut--\r\n"


def read_json(text: str | bytes, limits: Limits | None = None) -> Parameters:
    body = text if isinstance(text, bytes) else text.encode()
    return read(b"", JSON, body, limits or Limits())


@pytest.mark.parametrize(
    ("query", "content_type", "body"),
    [
        (b"pk=p11abcd&deviceName=caf%C3%A9+1", "", b""),
        (b"", FORM, b"pk=p11abcd&deviceName=caf%C3%A9%201"),
        (b"", FORM + ";charset=UTF-8", "pk=p11abcd&deviceName=café 1".encode()),
        (b"", JSON, '{"pk":"p11abcd","deviceName":"café 1"}'.encode()),
        (b"", JSON + "; charset=utf-8", b' \r\n{"pk":"p11abcd","deviceName":"caf\\u00e9 1"}\n'),
        (b"", "application/vnd.app+json", '{"pk":"p11abcd","deviceName":"café 1"}'.encode()),
        (b"", MULTIPART, multipart_body(("pk", b"p11abcd"), ("deviceName", "café 1".encode()))),
        (b"pk=p11abcd", FORM, b"deviceName=caf%c3%a9+1"),
        (b"pk=p11abcd", JSON, '{"deviceName":"café 1"}'.encode()),
    ],
)
def test_every_carrier_means_the_same(query: bytes, content_type: str, body: bytes) -> None:
    parameters = read(query, content_type, body)

    assert parameters.text("pk") == "p11abcd"
    assert parameters.text("deviceName") == "café 1"


@pytest.mark.parametrize("content_type", ["", FORM, "text/plain", "application/octet-stream", "nonsense"])
def test_json_is_found_under_any_content_type_but_multipart(content_type: str) -> None:
    assert read(b"", content_type, b'{"pk":"a"}').text("pk") == "a"


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/octet-stream", "nonsense"])
def test_a_form_is_found_under_any_content_type_that_claims_nothing_else(content_type: str) -> None:
    assert read(b"", content_type, b"pk=a").text("pk") == "a"


@pytest.mark.parametrize(
    "body", [b"pk=a", b"[]", b'["a"]', b'"text"', b"1", b"null", b"{", b'{"a":}', b"{'a':1}", b"{}x"]
)
def test_what_is_declared_as_json_must_be_an_object(body: bytes) -> None:
    with pytest.raises(ParameterError):
        read(b"", JSON, body)


def test_a_declared_type_without_a_body_is_no_harm() -> None:
    assert read(b"pk=a", JSON, b"").text("pk") == "a"
    assert read(b"pk=a", "multipart/form-data", b" \n").text("pk") == "a"


def test_json_scalars_become_the_text_a_query_would_carry() -> None:
    parameters = read_json('{"page":2,"ratio":1.5,"yes":true,"no":false,"nothing":null,"big":9223372036854775807}')

    assert [parameters.text(name) for name in ("page", "ratio", "yes", "no", "nothing", "big")] == [
        "2",
        "1.5",
        "true",
        "false",
        "",
        "9223372036854775807",
    ]


def test_text_takes_the_first_name_that_has_a_value() -> None:
    parameters = read(b"page=&pageNumber=3", "", b"")

    assert parameters.text("page", "pageNumber") == "3"
    assert parameters.text("absent") == ""


@pytest.mark.parametrize("body", ['{"pk":{"a":1}}', '{"pk":["a"]}'])
def test_a_value_with_parts_is_no_text(body: str) -> None:
    with pytest.raises(ParameterError, match="pk must be a single value"):
        read_json(body).text("pk")


def test_a_nul_is_refused_in_every_carrier() -> None:
    for parameters in (read(b"name=a%00b", "", b""), read(b"", FORM, b"name=a%00b"), read_json('{"name":"a\\u0000b"}')):
        with pytest.raises(ParameterError, match="NUL"):
            parameters.text("name")


def test_a_long_value_is_refused() -> None:
    assert read_json('{"name":"%s"}' % ("x" * 8192)).text("name") == "x" * 8192
    with pytest.raises(ParameterError, match="name is too long"):
        read_json('{"name":"%s"}' % ("x" * 8193)).text("name")


def test_texts_takes_commas_and_lists() -> None:
    assert read(b"pkList=a,b,,c", "", b"").texts("pkList") == ["a", "b", "c"]
    assert read_json('{"pkList":["a","b",3]}').texts("pkList") == ["a", "b", "3"]
    assert read(b"", "", b"").texts("pkList") == []
    with pytest.raises(ParameterError):
        read_json('{"pkList":[["a"]]}').texts("pkList")


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5), ("-3", 1), ("0", 1), ("100000000000", 99), ("9999999999999999999", 99), ("007", 7), ("", 10)],
)
def test_whole_numbers_stay_within_their_bounds(text: str, number: int) -> None:
    assert read(b"page=" + text.encode(), "", b"").whole("page", default=10, lowest=1, highest=99) == number


@pytest.mark.parametrize("text", ["x", "1.5", "1e3", "0x10", "1_000", "%20", "+1", "%D9%A1", "1" * 20, "%EF%BC%91"])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="whole number"):
        read(b"page=" + text.encode(), "", b"").whole("page", default=1, lowest=1, highest=99)


def test_flags() -> None:
    parameters = read(b"a=true&b=FALSE&c=1&d=0&e=&f=maybe", "", b"")

    assert [parameters.flag(name, default=True) for name in "abcde"] == [True, False, True, False, True]
    with pytest.raises(ParameterError, match="f must be true or false"):
        parameters.flag("f", default=False)


@pytest.mark.parametrize(
    ("query", "body", "content_type"),
    [
        (b"pk=a&pk=b", b"", ""),
        (b"pk=a", b"pk=b", FORM),
        (b"pk=a", b'{"pk":"b"}', JSON),
        (b"", b"pk=a&pk=b", FORM),
        (b"", multipart_body(("pk", b"a"), ("pk", b"b")), MULTIPART),
    ],
)
def test_two_values_for_one_name_are_refused(query: bytes, body: bytes, content_type: str) -> None:
    with pytest.raises(ParameterError, match="twice"):
        read(query, content_type, body)


def test_the_same_value_in_query_and_form_is_one_value() -> None:
    assert read(b"pk=a", FORM, b"pk=a").text("pk") == "a"


@pytest.mark.parametrize(
    "body", ['{"pk":"a","pk":"b"}', '{"pk":"a","pk":"a"}', '{"x":{"a":1,"a":2}}', '{"a":1,"\\u0061":2}']
)
def test_a_repeated_json_key_is_refused_at_any_depth(body: str) -> None:
    with pytest.raises(ParameterError, match="repeated"):
        read_json(body)


def test_the_body_is_bounded() -> None:
    limits = Limits(max_body_size=10)

    assert read(b"", FORM, b"name=abcde", limits).text("name") == "abcde"
    with pytest.raises(BodyTooLargeError):
        read(b"", FORM, b"name=abcdef", limits)


def test_the_query_is_bounded() -> None:
    with pytest.raises(ParameterError, match="query"):
        read(b"a=" + b"x" * 8192, "", b"")


@pytest.mark.parametrize("content_type", [FORM, JSON, MULTIPART])
def test_the_number_of_fields_is_bounded(content_type: str) -> None:
    def body(count: int) -> bytes:
        names = [f"f{number}" for number in range(count)]
        if content_type == JSON:
            return json.dumps(dict.fromkeys(names, 1)).encode()
        if content_type == FORM:
            return "&".join(name + "=1" for name in names).encode()
        return multipart_body(*((name, b"1") for name in names))

    assert read(b"", content_type, body(64)).text("f63") == "1"
    with pytest.raises(ParameterError, match="too many fields"):
        read(b"", content_type, body(65))
    with pytest.raises(ParameterError, match="too many fields"):
        read(b"q=1", content_type, body(64))


def test_separators_without_fields_count_too() -> None:
    with pytest.raises(ParameterError, match="too many fields"):
        read(b"&" * 64, "", b"")


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_is_measured_before_parsing(opening: str) -> None:
    with pytest.raises(ParameterError, match="nested too deeply"):
        read_json('{"x":' + opening * 10_000)


def test_nesting_within_the_limit_is_read() -> None:
    assert read_json('{"a":' * 8 + "1" + "}" * 8)
    with pytest.raises(ParameterError, match="nested too deeply"):
        read_json('{"a":' * 9 + "1" + "}" * 9)


def test_brackets_inside_text_are_text() -> None:
    assert read_json('{"name":"[[[[[[[[[[{{{{{{{{{{,,,\\"[[[[[\\\\"}').text("name") == '[[[[[[[[[[{{{{{{{{{{,,,"[[[[[\\'


@pytest.mark.parametrize(
    "number", ["9223372036854775808", "-9223372036854775809", "1" * 5000, "1e999", "-1e400", "NaN", "-Infinity"]
)
def test_numbers_nothing_can_hold_are_refused(number: str) -> None:
    with pytest.raises(ParameterError):
        read_json(f'{{"page":{number}}}')


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, b"name=%ff"),
        (FORM, b"name=\xff"),
        (FORM, b"name=%ed%a0%80"),
        (JSON, b'{"name":"\xff"}'),
        (JSON, b'{"name":"\\ud800"}'),
        (JSON, b'{"\\udfff":1}'),
        (JSON, '{"name":"a"}'.encode("utf-16")),
        (JSON, b'\xef\xbb\xbf{"name":"a"}'),
        (MULTIPART, multipart_body(("name", b"\xff"))),
    ],
)
def test_what_is_not_utf_8_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(ParameterError):
        read(b"", content_type, body)


def test_a_query_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(ParameterError, match="query"):
        read(b"name=%ff", "", b"")


@pytest.mark.parametrize(
    "body",
    [b"nothing", b"--cut", b"--cut\r\n", multipart_body(("a", b"1"))[:-8], b"--cut\r\nContent-Disposition\r\n\r\n"],
)
def test_a_broken_multipart_body_is_refused(body: bytes) -> None:
    with pytest.raises(ParameterError):
        read(b"", MULTIPART, body)


def test_multipart_needs_a_boundary() -> None:
    with pytest.raises(ParameterError, match="boundary"):
        read(b"", "multipart/form-data", b"--cut--\r\n")


@pytest.mark.parametrize(
    ("disposition", "content_type"),
    [
        (b"form-data; name*0*=a; name*=b", MULTIPART),
        (b"form-data; name=a; filename*0*=''b; filename*=c", MULTIPART),
        (b"form-data; name=a", "multipart/form-data; boundary*0=cut; boundary*=cut"),
    ],
)
def test_a_part_whose_name_comes_in_pieces_that_fit_in_no_way_is_refused(disposition: bytes, content_type: str) -> None:
    body = b"--cut\r\nContent-Disposition: " + disposition + b"\r\n\r\n1\r\n--cut--\r\n"

    with pytest.raises(ParameterError, match="cannot be read"):
        read(b"", content_type, body)


def test_files_and_nameless_parts_of_a_multipart_body_are_dropped() -> None:
    body = (
        b'--cut\r\nContent-Disposition: form-data; name="pk"; filename="x"\r\n\r\nfile\r\n'
        b"--cut\r\nContent-Type: text/plain\r\n\r\nnameless\r\n"
        b'--cut\r\nContent-Disposition: form-data; name="dk"\r\n\r\nd1\r\n--cut--\r\n'
    )

    parameters = read(b"", MULTIPART, body)

    assert parameters.text("pk") == ""
    assert parameters.text("dk") == "d1"


def test_values_do_not_show_in_a_repr() -> None:
    assert repr(read(b"pwd=secret1", "", b"")) == "<Parameters pwd>"


@pytest.mark.parametrize("piece", [b'"', b'\\"', b'"\\', b"{", b"a=&", b"%", b"\\u", b'{"a":', b"--cut\r\n"])
def test_no_body_takes_long_to_refuse(piece: bytes) -> None:
    body = (b'{"' + piece * 65_536)[:65_536]

    begun = time.perf_counter()
    for content_type in (JSON, FORM, MULTIPART):
        try:
            read(b"", content_type, body)
        except ParameterError:
            continue

    assert time.perf_counter() - begun < 2


@given(
    st.binary(max_size=300),
    st.sampled_from([JSON, FORM, MULTIPART, "", "multipart/form-data; boundary=\x80"]),
    st.binary(max_size=60),
)
def test_any_bytes_are_parameters_or_a_parameter_error(body: bytes, content_type: str, query: bytes) -> None:
    try:
        parameters = read(query, content_type, body)
        parameters.text("a")
        parameters.texts("a")
    except ParameterError:
        pass


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20),
        max_size=20,
    )
)
def test_any_json_object_of_scalars_is_read(values: dict[str, object]) -> None:
    parameters = read_json(json.dumps(values))

    for name, value in values.items():
        if isinstance(value, str) and "\0" not in value:
            assert parameters.text(name) == value
