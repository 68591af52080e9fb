"""What a hostile file names, to see that nothing of it is called."""


class Executed(BaseException):
    """A file has called a function."""


def ring(*_: object, **__: object) -> None:
    """Tell that it was called, in a way that nobody takes for a damaged file."""
    raise Executed("a function that a file names was called")
