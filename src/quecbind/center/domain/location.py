"""Where a device says it is (0x0122): NMEA sentences, as receivers write them, to the words of the platform.

The first sentence with a fix counts, GGA before RMC because it tells how good the fix is. Whatever is no such sentence
is no place: it is kept as the text it is.
"""

import re
from dataclasses import dataclass
from typing import Final

MAX_TEXT: Final = 1024
_SENTENCE: Final = re.compile(r"\$([A-Z]{2})(GGA|RMC),([^*$]*)(?:\*([0-9A-Fa-f]{2}))?")
_DEGREES: Final = re.compile(r"([0-9]{2,3})([0-9]{2}(?:\.[0-9]{1,8})?)")
_HDOP: Final = re.compile(r"[0-9]{1,2}(\.[0-9]{1,3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A fix.

    Attributes:
        system: GP, GL, GA, BD or GN, several of them together.
        latitude, longitude: as NMEA has them, ddmm.mmmm and dddmm.mmmm.
        north_south, east_west: N or S, E or W.
        degrees: the same in decimal degrees, WGS 84, south and west negative.
    """

    system: str
    latitude: str
    north_south: str
    longitude: str
    east_west: str
    degrees: tuple[float, float]
    hdop: str | None = None
    satellite_count: int | None = None


def place_of(text: str) -> Place | None:
    """The place that the sentences of a report tell, separated by `;`; None when they tell none."""
    places: dict[str, Place] = {}
    for part in text[:MAX_TEXT].split(";"):
        found = _SENTENCE.fullmatch(part.strip())
        if found is not None and _is_whole(part.strip(), found[4]):
            place = _place(found[1], found[2], found[3].split(","))
            if place is not None:
                places.setdefault(found[2], place)
    return places.get("GGA", places.get("RMC"))


def _place(system: str, kind: str, words: list[str]) -> Place | None:
    if kind == "GGA":
        if len(words) < 8 or words[5] not in {"1", "2", "3", "4", "5"}:
            return None
        latitude, north_south, longitude, east_west = words[1:5]
        satellites, hdop = words[6], words[7]
    else:
        if len(words) < 6 or words[1] != "A":
            return None
        latitude, north_south, longitude, east_west = words[2:6]
        satellites = hdop = ""
    north, east = _degrees(latitude, 90), _degrees(longitude, 180)
    if north is None or east is None or north_south not in {"N", "S"} or east_west not in {"E", "W"}:
        return None
    return Place(
        system=system,
        latitude=latitude,
        north_south=north_south,
        longitude=longitude,
        east_west=east_west,
        degrees=(north if north_south == "N" else -north, east if east_west == "E" else -east),
        hdop=hdop if _HDOP.fullmatch(hdop) else None,
        satellite_count=int(satellites)
        if satellites.isascii() and satellites.isdigit() and len(satellites) < 3
        else None,
    )


def _degrees(word: str, most: int) -> float | None:
    found = _DEGREES.fullmatch(word)
    if found is None or float(found[2]) >= 60:
        return None
    degrees = round(int(found[1]) + float(found[2]) / 60, 7)
    return degrees if degrees <= most else None


def _is_whole(sentence: str, checksum: str | None) -> bool:
    if checksum is None:
        return True
    total = 0
    for octet in sentence[1 : sentence.rindex("*")].encode("ascii", "replace"):
        total ^= octet
    return total == int(checksum, 16)
