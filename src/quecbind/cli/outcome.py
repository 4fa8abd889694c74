"""How a command ends: its exit code, and the error a command raises to end with one.

0 done, 1 refused (the reason and the platform's number on stderr), 2 usage, 3 unreachable.
"""

DONE = 0
REFUSED = 1
USAGE = 2
UNREACHABLE = 3


class CommandError(Exception):
    """Ends the command with `exit_code`; `sentence` goes to stderr, with the platform's number when there is one."""

    def __init__(self, exit_code: int, sentence: str, code: int = 0) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
        self.sentence = sentence
        self.code = code

    def __str__(self) -> str:
        return f"{self.sentence} (error {self.code})" if self.code else self.sentence
