"""The power goes at each step of a save: what is found is the old state or the new; argv[1]: a directory."""

import sys

from quecIot._platform import Files
from quecIot._store import Store, StoreError

DEFAULTS = {"secret": ""}
STEPS = ("create", "write", "rename", "sync_directory")


class PowerCut(Exception):
    pass


class FailingFiles(Files):
    def __init__(self, step, error):
        self._failing = step
        self._error = error

    def _step(self, name):
        if name == self._failing:
            raise self._error

    def create(self, path):
        self._step("create")
        Files.create(self, path)

    def write(self, path, data):
        if self._failing == "write":
            Files.write(self, path, data[: len(data) // 2])
        self._step("write")
        Files.write(self, path, data)

    def rename(self, old, new):
        self._step("rename")
        Files.rename(self, old, new)

    def sync_directory(self, path):
        self._step("sync_directory")
        Files.sync_directory(self, path)


def open_store(files):
    store = Store(sys.argv[1], "device.json", files, DEFAULTS)
    store.load(lambda level, text: None)
    return store


for step in STEPS:
    open_store(Files()).save({"secret": "old"})
    try:
        open_store(FailingFiles(step, PowerCut())).save({"secret": "new"})
        raise AssertionError(step)
    except PowerCut:
        print("power cut at", step)
    found = open_store(Files()).values["secret"]
    assert found == ("new" if step == "sync_directory" else "old"), (step, found)
for step in STEPS[:3]:
    open_store(Files()).save({"secret": "old"})
    store = open_store(FailingFiles(step, OSError(28)))
    try:
        store.save({"secret": "new"})
        raise AssertionError(step)
    except StoreError:
        pass
    assert store.values["secret"] == "old"
    assert open_store(Files()).values["secret"] == "old"
print("done")
