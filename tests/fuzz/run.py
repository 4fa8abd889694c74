"""Runs one target under atheris: the seeds go into a temporary corpus, the rest of the command line to libFuzzer."""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["quecbind.wire"]):
    import targets


def main(name: str) -> None:
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(targets.SEEDS[name]()):
            (Path(corpus) / f"seed-{number:03}").write_bytes(seed)
        atheris.Setup([*sys.argv, corpus], targets.TARGETS[name])
        atheris.Fuzz()
