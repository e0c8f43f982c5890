"""Errors of the test cluster. Each message has the next step."""


class TestClusterError(Exception):
    """The test cluster cannot go on; the message is meant for the person at the terminal."""

    __test__ = False  # pytest would collect a class of this name


class CommandError(TestClusterError):
    """A command ended with a non-zero code or not in time.

    ``code`` is None when the time ran out. ``stderr`` holds the whole error output.
    """

    def __init__(self, command: list[str], code: int | None, stderr: str) -> None:
        self.command = command
        self.code = code
        self.stderr = stderr
        ending = "did not end in time" if code is None else f"ended with {code}"
        tail = "\n".join(stderr.strip().splitlines()[-40:])
        super().__init__(f"`{' '.join(command[:6])}` {ending}:\n{tail}")
