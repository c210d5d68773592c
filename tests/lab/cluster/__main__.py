"""The lab's command: `python tests/lab/cluster up [--kubevirt] | down | status | kubectl … | helm …`."""

import argparse
import os
import sys
from pathlib import Path

# Run as a folder, Python puts this folder first on the path; the package's parent belongs there.
sys.path[0] = str(Path(__file__).resolve().parents[2])

from lab.cluster import addons, cgroups, lifecycle, namespace, traces  # noqa: E402 -- after the path
from lab.cluster.addons import Addon  # noqa: E402
from lab.cluster.binaries import KUBERNETES, ensure_built  # noqa: E402
from lab.cluster.kubectl import Kubectl  # noqa: E402
from lab.cluster.layout import APART, RUN, SPARE, Layout  # noqa: E402
from lab.cluster.progress import exit_code, say  # noqa: E402


def main(arguments: list[str]) -> int:
    """Carry out one subcommand; the exit code."""
    if arguments[:1] in (["kubectl"], ["helm"]):
        return _become(arguments[0], arguments[1:])
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("up", "bring the cluster up"), ("prepare", "only make what is cached")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--kubevirt", action="store_true", help="with KubeVirt")
        command.add_argument("--without-cdi", action="store_true", help="without CDI")
    commands.add_parser("down", help="remove the cluster, and those that killed tests left, with every trace")
    commands.add_parser("status", help="say whether it runs")
    commands.add_parser("kubectl", help="kubectl with the cluster's kubeconfig")
    commands.add_parser("helm", help="helm with the cluster's kubeconfig")
    options = parser.parse_args(arguments)
    if options.command == "up":
        lifecycle.up(RUN, _addons(options))
    elif options.command == "prepare":
        lifecycle.prepare(_addons(options))
    elif options.command == "down":
        for layout in (SPARE, APART):
            if traces.remaining(layout):
                lifecycle.down(layout)
        lifecycle.down(RUN)
    else:
        return _status(RUN)
    return 0


def _addons(options: argparse.Namespace) -> list[Addon]:
    return [*([] if options.without_cdi else [addons.CDI]), *([addons.KUBEVIRT] if options.kubevirt else [])]


def _status(layout: Layout) -> int:
    pid = namespace.find(layout)
    if pid is None:
        say("the cluster is not running")
        return 1
    say(f"running as process {pid}, its pods use {cgroups.memory(layout.cgroup) >> 20} MiB")
    say(f"export KUBECONFIG={layout.kubeconfig}")
    return 0


def _become(program: str, arguments: list[str]) -> int:
    """Run kubectl or helm in this process's place."""
    ensure_built(KUBERNETES)
    path = str(KUBERNETES.program(program))
    kubectl = Kubectl(RUN.kubeconfig)
    environment = {**os.environ, **kubectl.environment, "KUBECONFIG": str(kubectl.kubeconfig)}
    os.execve(path, [path, *arguments], environment)  # noqa: S606 -- the user's own arguments


if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(sys.argv[1:])))
