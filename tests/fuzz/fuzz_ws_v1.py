"""Any bytes against the ws_v1 target: `python tests/fuzz/fuzz_ws_v1.py -runs=N`."""

from run import main

main("ws_v1")
