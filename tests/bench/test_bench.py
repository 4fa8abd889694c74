"""`quecbind bench` in small: that it measures, not how fast anything is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from quecbind.cli.bench import spread
from tests.e2e.center_process import run_command

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def lg(tmp_path: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("the load generator needs a C compiler")
    built = tmp_path / "lg"
    source = Path(__file__).with_name("lg.c")
    done = subprocess.run(
        [compiler, "-o", str(built), str(source), "-lcrypto"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("the load generator needs the headers of OpenSSL")
    return built


def test_a_spread_names_the_median_and_how_far_the_rest_lies() -> None:
    assert spread([5.0, 1.0, 2.0, 4.0, 3.0]) == {"median": 3.0, "p10": 1.0, "p90": 5.0, "max": 5.0}
    assert spread([1.234]) == {"median": 1.23, "p10": 1.23, "p90": 1.23, "max": 1.23}


def test_binding_is_measured_from_the_device_to_the_users_list() -> None:
    done = run_command("bench", "bind", "--rounds", "3", "--json")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["rounds"] == 3
    for name in ("from_bindcodeSet_ms", "from_0x00B5_sent_ms", "0x00B5_to_PUBACK_ms"):
        assert 0 < result[name]["median"] <= result[name]["max"]


def test_figures_are_shown_to_people_by_name() -> None:
    done = run_command("bench", "bind", "--rounds", "1")

    assert re.search(
        r"^0x00B5 to PUBACK ms  median [\d.]+, p10 [\d.]+, p90 [\d.]+, max [\d.]+$", done.stdout, re.MULTILINE
    )


def test_the_end_of_a_right_is_measured_for_each_way_to_end_it_over_each_way_to_hear_it() -> None:
    done = run_command("bench", "revoke", "--rounds", "2", "--json")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    ends = ("to_last_byte_v1_ms", "to_last_byte_v2_ms", "to_refusal_http_ms")
    names = {f"{way}_{end}" for way in ("unbind", "reset", "revoke") for end in ends}
    assert result.keys() == names | {"rounds"}
    for name in names:
        assert 0 < result[name]["p50"] <= result[name]["p99"] <= result[name]["max"]


def test_log_ins_are_measured_over_every_round(lg: Path) -> None:
    done = run_command("bench", "log-in", "--lg", str(lg), "--devices", "50", "--rounds", "2", "--json")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert len(result["quecbind_rates"]) == 2
    assert result["quecbind_log_ins_per_s"] > 0
    assert "ratio" not in result


def test_a_load_generator_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    done = run_command("bench", "log-in", "--lg", str(tmp_path / "lg"))

    assert done.returncode == 2
    assert "make -C tests/bench" in done.stderr
