"""Files of this folder with places to fill: `$name`, as string.Template has it."""

from pathlib import Path
from string import Template

_FOLDER = Path(__file__).parent


def fill(path: str, **values: object) -> str:
    """The text of a file below this folder with its places filled.

    Raises:
        KeyError: it has a place that `values` does not name.
    """
    return Template((_FOLDER / path).read_text()).substitute(values)
