"""Every example of the protocol documents, explained."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quecbind.cli.explain import as_text, explain
from quecbind.testing import vectors
from quecbind.wire import commands, frame, mqtt, signing, ttlv

BIND_CODE = bytes.fromhex("aaaa0019c3000100b5005b001030313233343536373839414243444546")
# short-range.md C.2, D.4
DISCOVER_ANSWER = (
    "aaaa0035bd03e87031001b00067031316162630023000c616162626363646465656666002b00093132372e302e302e3100320119cf003a0001"
)
PROVISION_ANSWER = (
    "aaaa0035cc03e870110031003b00067031316162630043000c616162626363646465656666004b001030313233343536373839414243444546"
)


def test_a_bind_code_report_is_explained_field_by_field() -> None:
    assert explain(BIND_CODE) == {
        "kind": "frame",
        "packet_id": 1,
        "command": "0x00b5",
        "name": "bind code",
        "topic": "sys",
        "payload_bytes": 20,
        "payload": {
            "kind": "ttlv",
            "fields": [
                {
                    "id": 11,
                    "name": "bind code",
                    "type": "bytes",
                    "hex": "30313233343536373839414243444546",
                    "text": "0123456789ABCDEF",
                }
            ],
        },
    }


def test_the_tree_for_people() -> None:
    assert as_text(explain(BIND_CODE)).splitlines() == [
        "frame 0x00b5 bind code, packet id 1, topic kind sys",
        '  11 bind code: "0123456789ABCDEF"',
    ]


@pytest.mark.parametrize("vector", vectors.load("framing")["frames"], ids=lambda vector: vector["name"])
def test_every_frame_of_the_vectors_is_explained(vector: dict[str, Any]) -> None:
    for form in ("frame_hex", "device_emits_hex"):
        explained = explain(bytes.fromhex(vector[form]))
        if explained["kind"] == "frame":
            assert explained["packet_id"] == vector["packet_id"]
            assert explained["command"] == vector["command"]
            assert explained["payload_bytes"] == len(vector["payload_hex"]) // 2
        else:  # a device's quirk that no decoder can undo
            assert form == "device_emits_hex"
            assert vector["frame_hex"] != vector["device_emits_hex"]


@pytest.mark.parametrize("vector", vectors.load("ttlv")["encode"], ids=lambda vector: vector["name"])
def test_every_ttlv_of_the_vectors_is_explained(vector: dict[str, Any]) -> None:
    explained = explain(bytes.fromhex(vector["hex"]), "ttlv")

    assert [field["id"] for field in explained["fields"]] == [item[0] for item in vector["items"]]


@pytest.mark.parametrize("vector", vectors.load("framing")["invalid"], ids=lambda vector: vector["name"])
def test_a_broken_frame_is_said_to_be_broken(vector: dict[str, Any]) -> None:
    explained = explain(bytes.fromhex(vector["hex"]), "frame")

    assert explained["kind"] == "unknown"
    assert explained["reason"].startswith("frame")


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        ("aaaa00058b03e87030", ["frame 0x7030 discovery, packet id 1000", "  no payload"]),
        (
            DISCOVER_ANSWER,
            [
                "frame 0x7031 discovery answer, packet id 1000",
                '  3 product key: "p11abc"',
                '  4 device key: "aabbccddeeff"',
                '  5 address: "127.0.0.1"',
                "  6 TCP port: 6607 (integer)",
                "  7 version: 1 (integer)",
            ],
        ),
        (
            PROVISION_ANSWER,
            [
                "frame 0x7011 provisioning answer, packet id 1000",
                "  6 effective: True (bool)",
                '  7 product key: "p11abc"',
                '  8 device key: "aabbccddeeff"',
                '  9 bind code: "0123456789ABCDEF"',
            ],
        ),
    ],
)
def test_the_examples_of_the_lan_are_explained(data: str, lines: list[str]) -> None:
    assert as_text(explain(bytes.fromhex(data))).splitlines() == lines


def test_what_may_be_encrypted_is_said_to_be() -> None:
    # short-range.md C.4: a TSL write within a session
    shown = as_text(explain(bytes.fromhex("aaaa00155a03eb00133bd0c625992d63206229b918923a5c96")))

    assert "may be encrypted" in shown


def test_a_server_change_shows_its_parts() -> None:
    payload = ttlv.encode([(1, [(2, "iot.example"), (3, "192.0.2.1"), (4, 1884)])])

    shown = as_text(explain(frame.encode(7, commands.CONFIGURE, payload))).splitlines()

    assert shown[1:] == [
        "  1 move to server: struct of 3",
        '    2 domain: "iot.example"',
        '    3 address: "192.0.2.1"',
        "    4 port: 1884 (integer)",
    ]


def test_a_read_request_lists_its_ids_with_their_names() -> None:
    explained = explain(frame.encode(1, commands.STATUS_READ, commands.encode_ids([1, 3])))

    assert explained["payload"]["ids"] == [{"id": 1, "name": "battery %"}, {"id": 3, "name": "RSSI"}]
    assert "asks for everything" in as_text(explain(frame.encode(1, commands.TSL_READ)))


def test_transparent_data_is_left_as_it_is() -> None:
    explained = explain(frame.encode(1, commands.TRANSPARENT_UP, b"\x00\x09"))

    assert explained["payload"] == {"kind": "raw", "hex": "0009"}


def test_several_frames_and_what_lies_between() -> None:
    two = frame.encode(1, 0x7037) + b"junk" + frame.encode(0, 0x7038)

    explained = explain(two)

    assert [one["name"] for one in explained["frames"]] == ["ping", "pong"]
    assert "ignore packet id 0x0000" in explained["frames"][1]["note"]


def test_a_publish_shows_its_topic_and_the_frame_inside() -> None:
    packet = mqtt.Publish("q/2/d/qdp11abcD1/sys", BIND_CODE, 1, packet_id=9)

    explained = explain(packet.encode())

    assert (explained["kind"], explained["topic"], explained["packet_id"]) == ("mqtt", "q/2/d/qdp11abcD1/sys", 9)
    assert explained["payload"]["name"] == "bind code"


def test_a_log_in_is_named_but_its_proof_is_not_shown() -> None:
    password = signing.login("P" * 16, "S" * 32, "R" * 16)
    packet = mqtt.Connect("qdp11abcD1", password=password.encode())

    shown = json.dumps(explain(packet.encode()))

    assert "log-in with the device secret" in shown
    assert password not in shown


@pytest.mark.parametrize(
    ("packet", "name"),
    [
        (mqtt.Connack(5), "CONNACK"),
        (mqtt.Subscribe(1, [("q/1/d/qdp11abcD1/+", 1)]), "SUBSCRIBE"),
        (mqtt.Suback(1, [1]), "SUBACK"),
        (mqtt.Puback(7), "PUBACK"),
        (mqtt.Pingreq(), "PINGREQ"),
    ],
)
def test_other_packets_are_named(packet: mqtt.Packet, name: str) -> None:
    assert explain(packet.encode())["packet"] == name


def test_small_ttlv_is_not_taken_for_mqtt() -> None:
    assert explain(bytes.fromhex("000a0001"))["fields"][0]["value"] == 1


def test_decimals_keep_all_their_digits() -> None:
    explained = explain(bytes.fromhex("000a7e03920acbffcfff"))

    assert explained["fields"][0]["value"] == "1.004999999999999"


def test_text_cannot_steer_the_terminal() -> None:
    shown = as_text(explain(ttlv.encode([(1, "\x1b[2J")]))) + as_text(
        explain(mqtt.Publish("a\x1b[2J", b"", 0).encode())
    )

    assert "\x1b" not in shown


def test_nothing_is_said_to_be_nothing() -> None:
    assert explain(b"")["kind"] == "unknown"


@given(st.binary(max_size=200), st.sampled_from(["auto", "frame", "ttlv", "mqtt"]))
def test_any_bytes_have_an_explanation_for_people_and_programs(data: bytes, form: Any) -> None:
    explained = explain(data, form)

    json.dumps(explained)
    assert as_text(explained)


@given(st.binary(max_size=100), st.integers(0, 0xFFFF))
def test_any_payload_of_a_frame_has_an_explanation(payload: bytes, command: int) -> None:
    explained = explain(frame.encode(1, command, payload))

    assert explained["command"] == f"0x{command:04x}"
    assert as_text(explained)
