"""Topics and client ids."""

import pytest

from quecbind.wire import topics
from quecbind.wire.errors import TopicError
from quecbind.wire.topics import Topic

CID = "qdp1115X861122334455667"


def test_client_id_is_qd_product_key_device_key() -> None:
    assert topics.client_id("p1115X", "861122334455667") == CID


@pytest.mark.parametrize("key", ["", "x" * 33, "a/b", "a+", "a#", "a\0", "a b", "ä", "\ud800"])
def test_key_that_cannot_stand_in_a_topic_makes_no_client_id(key: str) -> None:
    with pytest.raises(TopicError, match="product key"):
        topics.client_id(key, "1")
    with pytest.raises(TopicError, match="device key"):
        topics.client_id("1", key)


def test_topics_of_both_directions_and_the_filter() -> None:
    assert topics.uplink(CID, "sys") == "q/2/d/" + CID + "/sys"
    assert topics.downlink(CID, "bus") == "q/1/d/" + CID + "/bus"
    assert topics.downlink_filter(CID) == "q/1/d/" + CID + "/+"


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        (f"q/2/d/{CID}/sys", Topic("up", CID, "sys", None)),
        (f"q/1/d/{CID}/bus", Topic("down", CID, "bus", None)),
        (f"q/2/d/{CID}/bus/C1", Topic("up", CID, "bus", "C1")),
        (f"q/1/d/{CID}/zzz", Topic("down", CID, "zzz", None)),
    ],
)
def test_topic_is_taken_apart(topic: str, expected: Topic) -> None:
    assert topics.parse(topic) == expected


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "q",
        "q/2/d",
        f"q/2/d/{CID}",
        f"q/2/d/{CID}/",
        "q/2/d//sys",
        f"q/2/d/{CID}/sys/",
        f"q/2/d/{CID}/sys/u/v",
        f"q/3/d/{CID}/sys",
        f"q/12/d/{CID}/sys",
        f"x/2/d/{CID}/sys",
        f"q/2/x/{CID}/sys",
        f"/q/2/d/{CID}/sys",
        f"q/1/d/{CID}/+",
        "q/1/d/#/sys",
        "q/1/d/+/sys",
    ],
)
def test_what_is_no_topic_of_the_device_link_is_refused(topic: str) -> None:
    with pytest.raises(TopicError):
        topics.parse(topic)
