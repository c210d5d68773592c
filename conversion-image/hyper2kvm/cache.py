"""What this user's machine found out or made once, kept between runs."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder for it. It may be removed at any time.

    Raises:
        RuntimeError: the user has no home.
    """
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder, "hyper2kvm")
