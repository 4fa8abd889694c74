"""Everything the Developer Center raises on purpose.

    CenterError
    |- Rejected            the caller is refused; `.refused` says with which number and sentence
    |   |- Unauthenticated     ... because nobody knows who asks
    |   |- NotFound            ... because it does not exist for this caller
    |   `- Conflict            ... because it contradicts what exists
    |- StorageError        the data could not be read or written; nothing was half done
    `- StartError          this data directory cannot be opened; the sentence says why and what to do

No message holds a secret. HTTP and MQTT translate them at one place each.
"""

from quecbind.center.domain.refusal import Refused


class CenterError(Exception):
    """Root of the errors of the Developer Center."""


class Rejected(CenterError):  # noqa: N818 - an answer, not a fault
    """The caller is refused.

    Attributes:
        refused: the number and the sentence for the caller.
    """

    def __init__(self, refused: Refused | int, detail: str = "", retry_after_s: int | None = None) -> None:
        self.refused = refused if isinstance(refused, Refused) else Refused(refused, retry_after_s, detail)
        super().__init__(f"{self.refused.code} {self.refused.sentence}")

    @property
    def code(self) -> int:
        """The platform's number."""
        return self.refused.code

    @property
    def sentence(self) -> str:
        """What to tell a person."""
        return self.refused.sentence

    @property
    def retry_after_s(self) -> int | None:
        """When it is worth trying again."""
        return self.refused.retry_after_s


class Unauthenticated(Rejected):
    """Nobody knows who asks."""


class NotFound(Rejected):
    """It does not exist, or not for this caller."""


class Conflict(Rejected):
    """It contradicts what exists."""


class StorageError(CenterError):
    """The data could not be read or written. What was asked did not happen, not even in part."""


class StartError(CenterError):
    """The data directory cannot be opened; the message is a sentence for the operator."""
