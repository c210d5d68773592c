"""Text of others on a terminal."""


def printable(text: str) -> str:
    """A text in which nothing commands a terminal: control characters, but for new lines and tabs, are replaced.

    Names in a source, files of a guest and messages of programs are not to be trusted: ECMA-48's sequences set titles,
    clipboards and more.
    """
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
