"""Runs one target under atheris: the seeds go into a temporary corpus, the command line to libFuzzer.

A corpus that is to be kept is given as an argument, as libFuzzer does it: the first folder collects what is new.
libFuzzer ends its process whatever Python still has to do, so it gets one of its own and this one cleans up.
"""

import subprocess
import sys
import tempfile
from pathlib import Path


def main(name: str) -> None:
    """Fuzzes the target and ends with libFuzzer's exit code; the crashing input is left in the current folder."""
    with tempfile.TemporaryDirectory(prefix="quecbind-fuzz-") as corpus:
        done = subprocess.run([sys.executable, __file__, *sys.argv[1:], corpus, name], check=False)
    sys.exit(done.returncode)


def fuzz(name: str, corpus: Path, arguments: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["quecbind.wire", "quecbind.center.http", "quecbind.center.push"]):
        import center_targets
        import targets

    seeds, functions = targets.SEEDS | center_targets.SEEDS, targets.TARGETS | center_targets.TARGETS
    for number, seed in enumerate(seeds[name]()):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    atheris.Setup([__file__, *arguments, str(corpus)], functions[name])
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz(sys.argv[-1], Path(sys.argv[-2]), sys.argv[1:-2])
