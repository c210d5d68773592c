"""Modules as a proxy serves them. The digest below is what `go mod download -json` says of the same archive."""

import functools
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hyper2kvm_api.errors import HostError
from lab.cluster.gomodule import Module, fetch, proxies

TINY = Module("example.test/tiny", "v1.0.0", "h1:91cC1WPF2Oau+5eS6J8eJl/fYvrb7rtniEIUa8icHL8=")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def proxy(tmp_path, monkeypatch):
    """A proxy with the module, which GOPROXY names second."""
    archive = tmp_path / "proxy" / TINY.path / "@v" / f"{TINY.version}.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr(f"{TINY.name}/tiny.go", "package tiny\n")
        made.writestr(f"{TINY.name}/go.mod", "module example.test/tiny\n")
    handler = functools.partial(Quiet, directory=tmp_path / "proxy")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("GOPROXY", f"{url}/nothing-here,{url}/,direct")
        yield archive
        server.shutdown()
        thread.join()


def test_a_module_is_unpacked_without_its_top_folder(proxy, tmp_path):
    fetch(TINY, tmp_path / "tiny")
    assert {path.name: path.read_text() for path in (tmp_path / "tiny").iterdir()} == {
        "tiny.go": "package tiny\n",
        "go.mod": "module example.test/tiny\n",
    }


def test_a_module_that_was_changed_on_its_way_is_refused(proxy, tmp_path):
    with zipfile.ZipFile(proxy, "a") as made:
        made.writestr(f"{TINY.name}/more.go", "package tiny\n")
    with pytest.raises(HostError) as caught:
        fetch(TINY, tmp_path / "tiny")
    assert TINY.digest in caught.value.message
    assert not (tmp_path / "tiny").exists()


def test_a_module_that_no_proxy_has_is_an_error_that_names_them(proxy, tmp_path):
    with pytest.raises(HostError) as caught:
        fetch(Module("example.test/other", "v1.0.0", TINY.digest), tmp_path / "other")
    assert caught.value.message.count("404") == 2
    assert "GOPROXY" in caught.value.hint


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("", ["https://proxy.golang.org"]),
        ("direct", ["https://proxy.golang.org"]),
        ("https://a.example/|https://b.example,direct", ["https://a.example", "https://b.example"]),
    ],
)
def test_proxies_are_those_that_go_would_ask(named, expected):
    assert proxies({"GOPROXY": named}) == expected
