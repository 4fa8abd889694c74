"""Any bytes against the parameters target: `python tests/fuzz/fuzz_parameters.py -runs=N`."""

from run import main

main("parameters")
