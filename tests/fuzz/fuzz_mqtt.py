"""Any bytes against the mqtt target: `python tests/fuzz/fuzz_mqtt.py -runs=N`."""

from run import main

main("mqtt")
