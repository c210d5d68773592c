import subprocess
import sys

from hyper2kvm_api.reasons import EXIT_INTERRUPTED

WHILE_LOADING = """
import os, signal, sys

class Loading:
    def find_spec(self, name, path, target=None):
        if name == "hyper2kvm.cli.app":
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Loading())
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as for a container's first process

from hyper2kvm.cli import main

main()
"""


def test_sigterm_ends_the_command_while_its_modules_load():
    ended = subprocess.run([sys.executable, "-c", WHILE_LOADING], check=False, timeout=30, capture_output=True)
    assert (ended.returncode, ended.stderr) == (EXIT_INTERRUPTED, b"interrupted\n")
