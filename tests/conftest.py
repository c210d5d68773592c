"""Order, time limits and progress of all tests."""

import signal
import sys
import time
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# How long an example takes says how busy the machine is.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# What scenarios have in common asserts like a test, and says as much when it fails.
pytest.register_assert_rewrite("lab.scenario.ending", "lab.scenario.moments")

LIMITS = {None: 120, "appliance": 300, "guest": 1500, "cluster": 900}
"""Mark → seconds that a test may take with its fixtures, unless it says otherwise.

The cheap come first; among those of a mark the longest, so that parallel workers end together.
"""

_SLOW = ("tests/guests/", "tests/cluster/")
"""Folders of tests whose start is told too."""

_SHARED = ("tests/guests/appliance/", "tests/cluster/test_handoff.py", "tests/cluster/test_troubles.py")
"""Modules whose tests share an appliance, or migrations that were started together."""

_RANK = {mark: rank for rank, mark in enumerate(LIMITS)}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--apart", action="store_true", help="bring up a cluster of these tests' own, and remove it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMITS[_dearest(item)]))
    items.sort(key=lambda item: (_RANK[_dearest(item)], -item.get_closest_marker("timeout").args[0]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> "Shared":
    return Shared(config, log)


class Shared(LoadScopeScheduling):
    """Gives each parallel worker one test after the other; the tests of a module that share something dear together."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0] if nodeid.startswith(_SHARED) else nodeid


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    # A shell starts what runs in its background with SIGINT ignored, and every program below inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not sys.stdout.isatty() and config.get_verbosity() == 0:
        config.pluginmanager.register(Lines(reporter))


def _dearest(item: pytest.Item) -> str | None:
    marks = {mark.name for mark in item.iter_markers()}
    return next((mark for mark in reversed(LIMITS) if mark in marks), None)


class Lines:
    """A line for each test that ends, and for each slow one that starts, in place of dots: a log is read as it grows."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter
        self._started = time.monotonic()
        self._durations: dict[str, float] = {}
        reporter.showfspath = False
        reporter._show_progress_info = False

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if nodeid.startswith(_SLOW):
            self._say("starts", nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, tuple[str, str, str], tuple[str, str, str]]:
        """As usual, without the letter."""
        category, _, word = yield
        return category, "", word

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        seconds = self._durations.pop(report.nodeid, 0.0) + report.duration
        if report.when == "setup" and report.passed:
            self._durations[report.nodeid] = seconds
        elif report.when == "call" or not report.passed:
            slow = f" ({seconds:.0f} s)" if seconds >= 1 else ""
            self._say(report.outcome.upper() if report.failed else report.outcome, report.nodeid + slow)

    def _say(self, what: str, test: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        self._reporter.write_line(f"[{minutes:02}:{seconds:02}] {what} {test}")
