"""One device's state in one private file: always the old state or the new one, whatever happens in between.

A save writes a second file through to the disk, renames it over the first, and makes the rename last. A file that
cannot be read as what was saved is kept aside, never overwritten. What the values mean is not known here.
"""

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from quecIot._platform import Files

VERSION = 1


class StoreError(Exception):
    """The store cannot be used; the sentence says why and names the file."""


class Store:
    """
    Attributes:
        values: what was last saved. Change it through `save` only.
    """

    def __init__(
        self,
        directory: str,
        name: str,
        files: "Files",
        defaults: "dict[str, Any]",
        later: "tuple[str, ...]" = (),
    ) -> None:
        """
        Args:
            directory: where the file is.
            name: of the file.
            files: how to reach it.
            defaults: every value, and what it is before it was ever saved.
            later: those that a file of an earlier release does not hold.
        """
        self._later = later
        self.values: "dict[str, Any]" = dict(defaults)
        self._defaults = defaults
        self._directory = directory.rstrip("/") or "/"
        self.path = self._directory + "/" + name
        self._files = files

    def load(self, log: "Callable[[str, str], None]") -> None:
        """Takes over what is on disk.

        Raises:
            StoreError: the directory or the file cannot be used.
        """
        try:
            self._files.make_directory(self._directory)
            data = self._files.read(self.path)
            if data is not None and not self._take(data):
                self._files.rename(self.path, self.path + ".broken")
                log("error", "the store cannot be read and was kept as %s.broken; starting anew" % self.path)
        except OSError as error:
            raise StoreError("the store %s cannot be used: %s" % (self.path, error)) from None

    def _take(self, data: bytes) -> bool:
        try:
            saved = json.loads(data.decode())
        except (ValueError, UnicodeError):
            return False
        if not isinstance(saved, dict) or saved.get("version") != VERSION:
            return False
        for name in self._defaults:
            if name not in saved and name not in self._later:
                return False
        for name in self._defaults:
            self.values[name] = saved.get(name, self._defaults[name])
        return True

    def save(self, changes: "dict[str, Any]") -> None:
        """All of the changes, or none.

        Raises:
            StoreError: none of them; `values` is as before.
        """
        new = dict(self.values)
        new.update(changes)
        saved = dict(new)
        saved["version"] = VERSION
        temporary = self.path + ".new"
        try:
            self._files.create(temporary)
            self._files.write(temporary, json.dumps(saved).encode())
            self._files.rename(temporary, self.path)
        except OSError as error:
            raise StoreError("the store %s cannot be written: %s" % (self.path, error)) from None
        # from here on the file is the new one, whether or not the directory says so after a power cut
        self.values = new
        self._files.sync_directory(self._directory)
