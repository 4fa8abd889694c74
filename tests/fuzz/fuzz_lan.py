"""Any bytes against the lan target: `python tests/fuzz/fuzz_lan.py -runs=N`."""

from run import main

main("lan")
