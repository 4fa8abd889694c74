"""The fuzz targets without a fuzzer: every seed, each cut short and with a byte changed, and some random bytes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import center_targets, targets

TARGETS = {**targets.TARGETS, **center_targets.TARGETS}
SEEDS = {**targets.SEEDS, **center_targets.SEEDS}


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_their_neighbours_keep_the_promise(name: str) -> None:
    target = TARGETS[name]
    dice = random.Random(1)

    for seed in SEEDS[name]():
        target(seed)
        for _ in range(12):
            changed = bytearray(seed)
            if changed:
                changed[dice.randrange(len(changed))] = dice.choice((0, 1, 0x55, 0x7F, 0x80, 0xAA, 0xFF))
            target(bytes(changed))
            target(bytes(changed[: dice.randint(0, len(changed))]))


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=200))
def test_any_bytes_keep_the_promise(name: str, data: bytes) -> None:
    TARGETS[name](data)
