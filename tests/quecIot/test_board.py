"""What the machine says about itself, from files that are put in its way."""

from __future__ import annotations

from pathlib import Path

import pytest

from quecIot import _board
from quecIot._board import Board
from quecIot._platform import Files
from tests.quecIot.bench import CountingEntropy


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    monkeypatch.setattr(_board, "_NETWORK_CARDS", str(tmp_path / "net"))
    monkeypatch.setattr(_board, "_POWER_SUPPLIES", str(tmp_path / "power"))
    return Board(Files(), str(tmp_path))


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_machine_without_battery_is_full(board: Board, tmp_path: Path) -> None:
    status = dict(board.status([1, 2, 4]))

    assert (status[1], status[2]) == (100, 3.3)
    assert status[4] > 0


def test_a_battery_tells_percent_and_volts(board: Board, tmp_path: Path) -> None:
    put(tmp_path / "power" / "AC" / "online", "1\n")
    put(tmp_path / "power" / "BAT0" / "capacity", "57\n")
    put(tmp_path / "power" / "BAT0" / "voltage_now", "11876000\n")

    assert board.status([1, 2]) == [(1, 57), (2, 11.876)]


@pytest.mark.parametrize(("blocks", "told"), [(7, 7 * 4096), (2**19 - 1, 2**31 - 4096), (2**19, 2**31 - 1)])
def test_room_is_told_as_far_as_the_numbers_of_devices_go(
    board: Board, monkeypatch: pytest.MonkeyPatch, blocks: int, told: int
) -> None:
    monkeypatch.setattr("os.statvfs", lambda _: (4096, 4096, 0, 0, blocks))

    assert board.status([4]) == [(4, told)]


def test_a_disk_that_is_gone_has_no_room() -> None:
    assert Board(Files(), "/no/such/place").status([4]) == [(4, 0)]


def test_the_default_device_key_is_the_first_cards_address(board: Board, tmp_path: Path) -> None:
    put(tmp_path / "net" / "lo" / "address", "00:00:00:00:00:00\n")
    put(tmp_path / "net" / "eth0" / "address", "02:fc:00:00:ab:01\n")
    put(tmp_path / "net" / "wlan0" / "address", "02:fc:00:00:ab:02\n")

    assert board.default_device_key(CountingEntropy()) == "02FC0000AB01"


def test_without_a_card_the_device_key_is_drawn_once_and_kept(board: Board) -> None:
    entropy = CountingEntropy()

    drawn = board.default_device_key(entropy)

    assert len(drawn) == 12
    assert board.default_device_key(entropy) == drawn


def test_unknown_information_is_empty(board: Board) -> None:
    assert board.info([4, 5, 6, 7, 8, 9, 10], "", []) == [(number, "") for number in (4, 5, 6, 7, 8, 9, 10)]
