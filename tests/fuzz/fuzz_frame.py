"""Any bytes against the frame target: `python tests/fuzz/fuzz_frame.py -runs=N`."""

from run import main

main("frame")
