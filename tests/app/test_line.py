"""A short exchange on a line: every way it can end, and that it always does."""

import asyncio

import pytest

from quecbind.app.errors import PairingError
from quecbind.app.lan.session import PairingSession
from quecbind.app.line import carry
from quecbind.wire import commands, frame, lan

ANSWER = frame.encode(1, commands.PROVISION_ANSWER, lan.provision_answer("p11abc", "aabbccddeeff", "0123456789ABCDEF"))


class ScriptedLine:
    """Gives what it is told to, or raises it; silent at the end."""

    def __init__(self, *coming: bytes | OSError, sending: OSError | None = None) -> None:
        self.sent = b""
        self._coming = list(coming)
        self._sending = sending

    async def receive(self) -> bytes:
        if not self._coming:
            await asyncio.Event().wait()
        given = self._coming.pop(0)
        if isinstance(given, OSError):
            raise given
        return given

    async def send(self, data: bytes) -> None:
        if self._sending is not None:
            raise self._sending
        self.sent += data

    async def close(self) -> None:
        pass


async def run(line: ScriptedLine, seconds: float = 20.0) -> lan.Pairing:
    return await carry(PairingSession(asyncio.get_running_loop().time(), seconds), line)


async def test_the_question_goes_out_and_the_answer_comes_back() -> None:
    line = ScriptedLine(ANSWER[:7], ANSWER[7:])

    pairing = await run(line)

    assert pairing.bind_code == "0123456789ABCDEF"
    assert frame.decode(line.sent).command == commands.PROVISION


@pytest.mark.parametrize(
    "line",
    [
        ScriptedLine(b""),
        ScriptedLine(ConnectionResetError()),
        ScriptedLine(TimeoutError(110, "Connection timed out")),
        ScriptedLine(sending=BrokenPipeError()),
        ScriptedLine(sending=TimeoutError(110, "Connection timed out")),
    ],
    ids=["ended", "reset", "given up by the system", "not written to", "given up while writing"],
)
async def test_a_line_that_breaks_has_ended(line: ScriptedLine) -> None:
    with pytest.raises(PairingError, match="closed the connection"):
        await run(line)


async def test_silence_ends_at_the_deadline() -> None:
    with pytest.raises(PairingError, match="in time"):
        await run(ScriptedLine(), seconds=0.05)
