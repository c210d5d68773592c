"""`python -m lab.guests NAME…` builds sample guests, all when none is named. It prints their folders, one a line."""

import sys
from contextlib import redirect_stdout

from lab.guests.build import RECIPES, ensure_guest


def main(names: list[str]) -> int:
    """Carry out the command; its exit code."""
    if unknown := [name for name in names if name not in RECIPES]:
        print(f"no recipe for {', '.join(unknown)}; there are {', '.join(RECIPES)}", file=sys.stderr)  # noqa: T201 -- as below
        return 2
    for name in names or RECIPES:
        with redirect_stdout(sys.stderr):
            guest = ensure_guest(name)
        print(guest.folder, flush=True)  # noqa: T201 -- the command's output
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
