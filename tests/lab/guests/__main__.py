"""`python -m lab.guests NAME…` builds sample guests, and prints where they are."""

import sys

from lab.guests.build import RECIPES, ensure_guest


def main() -> None:
    for name in sys.argv[1:] or RECIPES:
        guest = ensure_guest(name)
        print(guest.folder)  # noqa: T201 -- the command's output


if __name__ == "__main__":
    main()
