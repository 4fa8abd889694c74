"""Any bytes against the ttlv target: `python tests/fuzz/fuzz_ttlv.py -runs=N`."""

from run import main

main("ttlv")
