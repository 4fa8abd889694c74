"""Any bytes against the signing target: `python tests/fuzz/fuzz_signing.py -runs=N`."""

from run import main

main("signing")
