"""Frames: every measured example, every way to cut a stream, every way to be wrong."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.examples import load

from quecbind.wire import frame
from quecbind.wire.errors import FrameError
from quecbind.wire.frame import Frame, FrameReader

VECTORS = load("framing.json")
MEASURED = [
    pytest.param(
        Frame(record["packet_id"], int(record["command"], 16), bytes.fromhex(record["payload_hex"])),
        bytes.fromhex(record["frame_hex"]),
        bytes.fromhex(record["device_emits_hex"]),
        id=record["name"],
    )
    for record in VECTORS["frames"]
]
# Examples of short range: id, command, data, what is on the wire (a last AA is followed by 55).
SHORT_RANGE = [
    (0x03E8, 0x7030, "", "aaaa00058b03e87030"),
    (0x0001, 0x7001, "", "aaaa00057200017001"),
    (
        0x03E9,
        0x7033,
        "000b001041316232433364344535663647376838",
        "aaaa0019f203e97033000b001041316232433364344535663647376838",
    ),
    (0x0003, 0x0013, "0131", "aaaa000748000300130131"),
    (0x0006, 0x0014, "01aa55aa02", "aaaa000ac60006001401aa5555aa02"),
    (0x0007, 0x0014, "01aaaaaa02", "aaaa000a1c0007001401aa55aa55aa02"),
    (0xAAAA, 0x0011, "", "aaaa000565aa55aa0011"),
    (0xAA55, 0x0011, "", "aaaa000510aa55550011"),
    (0x0008, 0x0014, "010203aa", "aaaa0009cc00080014010203aa55"),
    (0x0005, 0x0014, "aaaa", "aaaa00076d00050014aa55aa55"),
    (0x1234, 0x0014, "aa", "aaaa00060412340014aa55"),
    (0x0009, 0x0014, "aa010203", "aaaa0009cd00090014aa010203"),
    (0x0001, 0x0014, "01" * 21755, "aaaa5555001000010014" + "01" * 21755),
    (0x000B, 0x00AA, "5501", "aaaa00070b000b00aa555501"),
]
PAYLOADS = st.one_of(st.binary(max_size=300), st.lists(st.sampled_from([0xAA, 0x55, 0, 1]), max_size=60).map(bytes))
FRAMES = st.builds(
    Frame,
    st.one_of(st.integers(0, 0xFFFF), st.sampled_from([0xAAAA, 0xAA55, 0x55AA])),
    st.one_of(st.integers(0, 0xFFFF), st.sampled_from([0x0014, 0x00AA])),
    PAYLOADS,
)


def one_by_one(reader: FrameReader, data: bytes) -> list[Frame]:
    return [found for at in range(len(data)) for found in reader.feed(data[at : at + 1])]


@pytest.mark.parametrize(("packet", "ours", "theirs"), MEASURED)
def test_measured_frame_is_written_and_read(packet: Frame, ours: bytes, theirs: bytes) -> None:
    assert frame.encode(*packet) == ours
    assert frame.decode(ours) == packet
    assert FrameReader().feed(ours) == [packet]
    assert one_by_one(FrameReader(), ours) == [packet]


@pytest.mark.parametrize(("packet", "ours", "theirs"), [case for case in MEASURED if case.values[1] == case.values[2]])
def test_what_a_device_emits_decodes_to_the_same_frame(packet: Frame, ours: bytes, theirs: bytes) -> None:
    assert frame.decode(theirs) == packet


@pytest.mark.parametrize("record", VECTORS["invalid"], ids=lambda record: record["name"])
def test_measured_invalid_frame_is_refused(record: dict[str, str]) -> None:
    data = bytes.fromhex(record["hex"])

    with pytest.raises(FrameError):
        frame.decode(data)
    assert FrameReader().feed(data) == []


@pytest.mark.parametrize(("packet_id", "command", "payload", "wire"), SHORT_RANGE)
def test_short_range_example(packet_id: int, command: int, payload: str, wire: str) -> None:
    packet = Frame(packet_id, command, bytes.fromhex(payload))

    assert frame.encode(*packet).hex() == wire
    assert frame.decode(bytes.fromhex(wire)) == packet
    assert FrameReader().feed(bytes.fromhex(wire)) == [packet]


@pytest.mark.parametrize("payload", ["010203aa", "aaaa", "aa"])
def test_missing_55_after_a_last_aa_is_accepted(payload: str) -> None:
    packet = Frame(7, 0x14, bytes.fromhex(payload))
    short = frame.encode(*packet)[:-1]

    assert short[-1] == 0xAA
    assert frame.decode(short) == packet
    assert FrameReader().feed(short + short) == [packet, packet]
    assert one_by_one(FrameReader(), short + short) == [packet, packet]


def test_length_whose_high_byte_is_55_is_accepted_after_the_header_only_when_escaped() -> None:
    wire = frame.encode(1, 0x14, b"\x01" * 21755)

    assert wire[:5] == bytes.fromhex("aaaa555500")
    with pytest.raises(FrameError):
        frame.decode(wire[:2] + wire[3:])


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4])
def test_length_below_5_is_refused(length: int) -> None:
    data = bytes((0xAA, 0xAA, 0, length)) + bytes(8)
    reader = FrameReader()

    with pytest.raises(FrameError, match=f"length {length} is below 5"):
        frame.decode(data)
    assert reader.feed(data) == []
    assert reader.skipped_count == 1


def test_bytes_behind_the_frame_of_a_message_are_ignored() -> None:
    packet = Frame(1, 0x24, b"abc")

    assert frame.decode(frame.encode(*packet) + b"junk") == packet
    assert frame.decode(frame.encode(*packet) + b"\xaa\xaa\xaa\x55") == packet


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("", "does not begin with AA AA"),
        ("aa", "does not begin with AA AA"),
        ("aaab0006260001002401", "does not begin with AA AA"),
        ("aaaa", "cut short in the length"),
        ("aaaa00", "cut short in the length"),
        ("aaaa55", "cut short in the length"),
        ("aaaa0006", "cut short, 4 of 10 bytes"),
        ("aaaa00062600010024", "cut short, 9 of 10 bytes"),
        ("aaaa0006000001002401", "the sum does not match"),
        ("aaaa0008260001aaaa002401", "interrupted by another AA AA"),
        ("aaaaaa06260001002401", "cut short|interrupted"),
    ],
)
def test_malformed_message_is_refused_with_a_sentence(data: str, sentence: str) -> None:
    with pytest.raises(FrameError, match=sentence):
        frame.decode(bytes.fromhex(data))


@pytest.mark.parametrize(("packet", "ours", "theirs"), MEASURED)
def test_truncated_at_every_index_is_refused(packet: Frame, ours: bytes, theirs: bytes) -> None:
    whole = ours[:-1] if ours.endswith(b"\xaa\x55") else ours

    for size in range(len(whole)):
        with pytest.raises(FrameError):
            frame.decode(ours[:size])
        assert FrameReader().feed(ours[:size]) == []


def test_too_large_is_refused_before_it_is_collected() -> None:
    data = frame.encode(1, 0x24, bytes(100))
    reader = FrameReader(max_frame=108)

    with pytest.raises(FrameError, match="109 bytes, at most 108 are allowed"):
        frame.decode(data, max_frame=108)
    assert frame.decode(data, max_frame=109).payload == bytes(100)
    assert reader.feed(data) == []
    assert reader.skipped_count == 1
    assert FrameReader(max_frame=109).feed(data) == [Frame(1, 0x24, bytes(100))]


@pytest.mark.parametrize(
    ("packet_id", "command", "size", "sentence"),
    [
        (-1, 0x14, 0, "packet id"),
        (0x10000, 0x14, 0, "packet id"),
        (1, -1, 0, "command"),
        (1, 0x10000, 0, "command"),
        (1, 0x14, 65527, "at most 65526"),
    ],
)
def test_what_has_no_frame_is_not_encoded(packet_id: int, command: int, size: int, sentence: str) -> None:
    with pytest.raises(FrameError, match=sentence):
        frame.encode(packet_id, command, bytes(size))


def test_the_largest_payload_a_device_accepts_round_trips() -> None:
    packet = Frame(1, 0x24, b"\xaa" * 65526)

    assert frame.decode(frame.encode(*packet)) == packet


def test_reader_skips_what_stands_between_frames() -> None:
    first, second = Frame(1, 0x14, b"\xaa"), Frame(2, 0x14, b"b")
    reader = FrameReader()

    found = reader.feed(b"junk\xaa\x55" + frame.encode(*first) + b"\x55\x00\xaa" + frame.encode(*second) + b"\xaa")

    assert found == [first, second]
    assert reader.skipped_count == 0


def test_reader_restarts_on_a_header_inside_a_frame() -> None:
    whole = Frame(2, 0x14, b"whole")
    cut = frame.encode(1, 0x14, b"this one is cut")[:-4]
    reader = FrameReader()

    assert reader.feed(cut + frame.encode(*whole)) == [whole]
    assert reader.skipped_count == 1


def test_reader_skips_a_wrong_sum_and_finds_the_next_frame() -> None:
    good = frame.encode(2, 0x14, b"good")
    bad = bytearray(good)
    bad[4] ^= 1
    reader = FrameReader()

    assert reader.feed(bytes(bad) + good) == [Frame(2, 0x14, b"good")]
    assert reader.skipped_count == 1


def test_escape_split_between_chunks_is_one_escape() -> None:
    packet = Frame(6, 0x14, bytes.fromhex("01aa55aa02"))
    wire = frame.encode(*packet)
    at = wire.index(b"\xaa\x55") + 1
    reader = FrameReader()

    assert reader.feed(wire[:at]) == []
    assert reader.feed(wire[at:]) == [packet]


def test_more_junk_than_a_frame_leaves_the_reader_usable() -> None:
    reader = FrameReader(max_frame=64)

    for _ in range(1000):
        reader.feed(b"\xaa\x55\xaa\x00" * 16)

    assert reader.feed(frame.encode(1, 0x14)) == [Frame(1, 0x14, b"")]


@given(FRAMES)
def test_any_frame_round_trips(packet: Frame) -> None:
    wire = frame.encode(*packet)

    assert wire.count(b"\xaa\xaa") == 1, "an AA AA after the header would be another header"
    assert frame.decode(wire) == packet
    assert one_by_one(FrameReader(), wire) == [packet]


@given(st.lists(FRAMES, max_size=4), st.lists(st.integers(0, 400), max_size=8))
def test_frames_do_not_depend_on_how_the_stream_is_cut(packets: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(frame.encode(*packet) for packet in packets)
    reader = FrameReader()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]

    found = []
    for start, stop in itertools.pairwise(edges):
        found += reader.feed(stream[start:stop])

    assert found == packets
    assert reader.skipped_count == 0


@given(st.one_of(st.binary(max_size=60), st.lists(st.sampled_from([0xAA, 0x55, 0, 5, 6]), max_size=60).map(bytes)))
def test_decode_and_reader_agree_about_any_bytes(data: bytes) -> None:
    try:
        packet = frame.decode(b"\xaa\xaa" + data)
    except FrameError:
        return

    assert FrameReader().feed(b"\xaa\xaa" + data)[0] == packet
