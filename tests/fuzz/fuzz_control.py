"""Any bytes against the control target: `python tests/fuzz/fuzz_control.py -runs=N`."""

from run import main

main("control")
