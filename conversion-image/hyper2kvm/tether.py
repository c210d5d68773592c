"""Ties a program's life to its parent's, as a script: `tether.py PARENT PROGRAM ARGUMENT…` becomes the program.

The kernel kills it when the parent dies (prctl(2), PR_SET_PDEATHSIG). A parent that died before that was asked for is
noticed too, which setpriv(1) would miss: the program does not start then.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Replace this process by the program."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 -- the program's path is absolute, and there is no shell


if __name__ == "__main__":
    main()
