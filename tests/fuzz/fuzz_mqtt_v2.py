"""Any bytes against the mqtt_v2 target: `python tests/fuzz/fuzz_mqtt_v2.py -runs=N`."""

from run import main

main("mqtt_v2")
