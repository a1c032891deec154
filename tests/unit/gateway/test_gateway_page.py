"""The page's files over HTTP: what they are, their headers, and that every one is shipped."""

import fnmatch
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from fastapi import FastAPI
from search_plane.gateway.page.routes import HEADERS, add_page
from search_plane.gateway.server import create_app
from search_plane.gateway.settings import Settings
from starlette.testclient import TestClient

FOLDER = Path(str(files("search_plane.gateway.page")))
STATIC = sorted(path.name for path in FOLDER.iterdir() if path.is_file() and path.suffix != ".py")
PARTS = [name for name in STATIC if name != "index.html"]
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def client() -> TestClient:
    app = FastAPI(docs_url=None, redoc_url=None)
    add_page(app)
    return TestClient(app)


def test_the_page_is_chinese_html(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert '<html lang="zh-CN">' in answer.text
    assert "<title>商品搜索</title>" in answer.text


@pytest.mark.parametrize("path", ["/", *(f"/page/{name}" for name in PARTS)])
def test_every_file_is_guarded_and_asked_for_anew(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert {name: answer.headers[name] for name in HEADERS} == dict(HEADERS)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = client.get(path, headers={"If-None-Match": f'"other", W/{answer.headers["ETag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == answer.headers["ETag"]
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(answer.content))


def test_types_are_what_a_browser_takes_under_nosniff(client: TestClient) -> None:
    types = {
        ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".svg": "image/svg+xml",
    }
    for name in PARTS:
        assert client.get(f"/page/{name}").headers["Content-Type"] == types[Path(name).suffix]


@pytest.mark.parametrize(
    "path", ["/page/", "/page/index.html", "/page/routes.py", "/page/..%2froutes.py", "/page/a/b"]
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_nothing_is_inline_or_from_elsewhere() -> None:
    html = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", html)
    # Relative, so that an Ingress may put the gateway below a path of its own.
    assert not re.findall(r'(?:src|href|action)="/', html)
    for name in STATIC:
        text = (FOLDER / name).read_text(encoding="utf-8")
        # The namespace of SVG is a name, not an address that is asked.
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", text), name


def test_scripts_never_make_markup() -> None:
    for name in STATIC:
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert not re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function|srcdoc",
            text,
        ), name


def test_every_file_is_in_the_wheel() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["search_plane.gateway.page"]
    for name in STATIC:
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), name


def test_the_gateway_has_the_page_without_a_release(tmp_path: Path) -> None:
    app = create_app(Settings.model_validate({"release_file": tmp_path / "release.json"}))
    with TestClient(app) as gateway:
        assert "商品搜索" in gateway.get("/").text
        assert set(gateway.get("/openapi.json").json()["paths"]).isdisjoint({"/", "/page/{name}"})
        missing = gateway.get("/page/none.js")
        assert (missing.status_code, missing.json()["field"]) == (404, "path")
