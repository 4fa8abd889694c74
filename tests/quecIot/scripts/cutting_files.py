"""A store whose power goes in the middle of a save; for the scripts beside it."""

from quecIot._platform import Files


class PowerCut(Exception):
    pass


class CuttingFiles(Files):
    """Real files; the power goes before step number `left`, a write half done."""

    left = 1000000

    def _step(self):
        if self.left == 0:
            raise PowerCut
        self.left -= 1

    def create(self, path):
        self._step()
        Files.create(self, path)

    def write(self, path, data):
        if self.left == 0:
            Files.write(self, path, data[: len(data) // 2])
        self._step()
        Files.write(self, path, data)

    def rename(self, old, new):
        self._step()
        Files.rename(self, old, new)

    def sync_directory(self, path):
        self._step()
        Files.sync_directory(self, path)
