"""A page of another site attacks the server extension from the browser in which its user is logged in."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_server import LabServer
from notebook_page import SESSION, NotebookPage
from playwright.sync_api import Browser, Page

from nbactors.testing import eventually
from nbactors.util import state

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

VICTIM = """import pathlib, threading
@ray.remote
class Victim:
    def run(self, mark):
        try:
            threading.Event().wait()
        finally:
            pathlib.Path(mark).touch()
victim = Victim.options(name="victim").remote()
ref = victim.run.remote({mark!r})"""

ATTACK = """async ([base, actor, call]) => {
  const routes = ["status", "actors", "calls", `actors/${actor}/stack`, `actors/${actor}/log`,
    `actors/${actor}/profile`,
    `actors/${actor}/interrupt`, `actors/${actor}/kill`, `calls/${call}/cancel`, "timeline", "openapi.json", "live"];
  const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
  const read = [];
  for (const route of routes) {
    for (const method of methods) {
      for (const more of [{}, { headers: { Authorization: "token guess" } }, { headers: { "X-XSRFToken": "guess" } }]) {
        try {
          const answer = await fetch(`${base}/${route}`, { method, credentials: "include", ...more });
          read.push(`${method} ${route}: ${answer.status} ${await answer.text()}`);
        } catch { /* the browser lets nothing be read */ }
      }
      if (["GET", "HEAD", "POST"].includes(method)) {
        const body = method === "POST" ? new URLSearchParams({ _xsrf: "guess" }) : undefined;
        await fetch(`${base}/${route}`, { method, credentials: "include", mode: "no-cors", body }).catch(() => null);
      }
    }
    for (const kind of ["img", "script", "iframe"]) {
      await new Promise((resolve) => {
        const element = document.createElement(kind);
        element.onload = element.onerror = resolve;
        element.src = `${base}/${route}`;
        document.body.append(element);
      });
    }
    await new Promise((resolve) => {
      const frame = document.createElement("iframe");
      frame.name = `frame-${route}`;
      document.body.append(frame);
      const form = document.createElement("form");
      Object.assign(form, { method: "post", action: `${base}/${route}`, target: frame.name });
      document.body.append(form);
      frame.onload = resolve;
      form.submit();
    });
  }
  const opened = await new Promise((resolve) => {
    const socket = new WebSocket(`${base.replace("http", "ws")}/live`);
    socket.onopen = () => resolve(true);
    socket.onerror = socket.onclose = () => resolve(false);
  });
  return { read, opened };
}"""


@pytest.fixture
def other_site() -> Iterator[str]:
    """The address of a site on another port: a browser sends it the same cookies, since cookies know no ports."""

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Cats</title><body>Cats")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def started(notebook: Callable[..., NotebookPage], mark: Path) -> tuple[NotebookPage, str, str]:
    """Start the victim; return the page of its user, the actor's id, and the id of its running call."""
    opened = notebook(SESSION, VICTIM.format(mark=str(mark)))
    opened.run(0)
    opened.run(1)
    [call] = eventually(
        lambda: [row for row in state.list_tasks() if row["state"] == "RUNNING" and row["name"] == "Victim.run"]
    )
    return opened, call["actor_id"], call["task_id"]


def test_a_page_of_another_site_reads_nothing_and_changes_nothing(
    notebook: Callable[..., NotebookPage], page: Page, other_site: str, lab: LabServer, tmp_path: Path
) -> None:
    mark = tmp_path / "stopped"
    opened, actor, call = started(notebook, mark)
    base = lab.url("nbactors/api").partition("?")[0]
    # The user's own page may: so the attack below fails for its origin, not since nothing works.
    own = opened.page.evaluate(
        "(base) => fetch(base + '/status', { headers: { 'X-XSRFToken': document.cookie.match(/_xsrf=([^;]*)/)[1] } })"
        ".then((one) => one.status)",
        base,
    )
    assert own == 200
    evil = opened.page.context.new_page()
    answers: list[tuple[str, str, int]] = []
    evil.on("response", lambda one: answers.append((one.request.method, one.url, one.status)))
    evil.goto(other_site)
    found = evil.evaluate(ATTACK, [base, actor, call])
    assert found == {"read": [], "opened": False}
    reached = [answer for answer in answers if answer[1].startswith(base)]
    assert len(reached) > 50
    assert [answer for answer in reached if answer[2] < 400] == []
    assert not mark.exists()
    [row] = [row for row in state.list_tasks() if row["task_id"] == call]
    assert row["state"] == "RUNNING"
    assert "run" in state.stack(actor)


def test_a_name_that_a_site_has_bound_to_this_machine_leads_nowhere(rebound: Browser, lab: LabServer) -> None:
    address = lab.url("nbactors/api/status")  # with the right token
    page = rebound.new_page()
    right, wrong = page.goto(address), page.goto(address.replace("127.0.0.1", "rebound.example"))
    assert right is not None
    assert right.status == 200
    assert wrong is not None
    assert wrong.status == 403
    assert '"version"' not in wrong.text()
