"""Where a device says it is, from the sentences of a receiver."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quecbind.center.domain.location import Place, place_of

# The example of a receiver maker's manual, with its checksum.
GGA = "$GPGGA,092204.999,4250.5589,S,14718.5084,E,1,04,24.4,19.7,M,,,,0000*1F"
RMC = "$GNRMC,083559.00,A,4717.11437,N,00833.91522,E,0.004,77.52,091202,,,A"


def test_a_fix_is_told_in_degrees_and_as_it_was_written() -> None:
    assert place_of(GGA) == Place(
        system="GP",
        latitude="4250.5589",
        north_south="S",
        longitude="14718.5084",
        east_west="E",
        degrees=(-42.8426483, 147.3084733),
        hdop="24.4",
        satellite_count=4,
    )


def test_a_sentence_without_quality_counts_when_there_is_no_other() -> None:
    place = place_of(RMC + ";")
    assert place is not None
    assert (place.system, place.degrees) == ("GN", (47.2852395, 8.5652537))
    assert (place.hdop, place.satellite_count) == (None, None)
    assert place_of(f"{RMC};{GGA};") == place_of(GGA)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "LBS;",
        "NONE",
        GGA.replace("1F", "1E"),
        GGA.replace(",1,04", ",0,04").removesuffix("*1F"),
        RMC.replace(",A,4", ",V,4"),
        "$GPGGA,092204.999,9050.5589,S,14718.5084,E,1,04,24.4",
        "$GPGGA,092204.999,4260.0000,S,14718.5084,E,1,04,24.4",
        "$GPGGA,092204.999,4250.5589,X,14718.5084,E,1,04,24.4",
        "$GPGGA,092204.999,,,,,1,04,24.4",
        "$GPGGA,1",
        "$GPGSV,3,1,12",
    ],
)
def test_what_tells_no_place_is_none(text: str) -> None:
    assert place_of(text) is None


@given(st.text(alphabet="$GPGARMC,.;*0123456789NSEWAV", max_size=90))
def test_any_text_is_a_place_or_none(text: str) -> None:
    place = place_of(text)
    assert place is None or (-90 <= place.degrees[0] <= 90 and -180 <= place.degrees[1] <= 180)
