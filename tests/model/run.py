"""How random lives are run: few, always the same ones, in the suite; many that differ from run to run with --full."""

import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

EXAMPLES = "QUECBIND_MODEL_EXAMPLES"


def run_lives(
    machine: Any,
    request: pytest.FixtureRequest,
    *,
    quick: tuple[int, int],
    steps: int,
    must: list[str],
    least: list[str],
) -> list[tuple[str, int]]:
    """What has to come up in such a run, and how often it did.

    Args:
        machine: counts in its `told` what it does and what comes of it.
        quick: lives and steps of each, in the suite.
        steps: of each of the many lives.
        must, least: what has to come up in many lives, and in few: what does in these changes with every rule.
    """
    is_full = request.config.getoption("full") or EXAMPLES in os.environ
    examples, quick_steps = quick
    machine.told.clear()
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(os.environ.get(EXAMPLES, "150")) if is_full else examples,
            stateful_step_count=steps if is_full else quick_steps,
            derandomize=not is_full,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink] if is_full else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    told: Counter[str] = machine.told
    return [(what, told[what]) for what in (must if is_full else least)]
