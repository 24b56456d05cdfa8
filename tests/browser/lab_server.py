"""A JupyterLab server of its own, with no settings of the user's."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from nbactors.testing import eventually

START_S = 60.0
END_S = 20.0


class LabServer:
    """Starts a server, which serves the notebooks of a directory.

    Args:
        directory: Has the server's files, and the notebooks in `notebooks`.
    """

    def __init__(self, directory: Path) -> None:
        self.notebooks = directory / "notebooks"
        self.notebooks.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._token = secrets.token_hex(16)
        places = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
        }
        self._log = directory / "server.log"
        settings = directory / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        # Otherwise a question about news covers the page.
        (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    *("-m", "jupyterlab", "--no-browser", "--allow-root"),
                    f"--ServerApp.port={self._port}",
                    "--ServerApp.port_retries=0",
                    f"--IdentityProvider.token={self._token}",
                    f"--ServerApp.root_dir={self.notebooks}",
                    "--LabApp.expose_app_in_browser=True",
                    "--JupyterNotebookApp.expose_app_in_browser=True",
                    "--LabApp.news_url=",
                ],
                env={**os.environ, **{name: str(directory / place) for name, place in places.items()}},
                stdout=log,
                stderr=log,
            )
        eventually(self._answers, timeout_s=START_S)

    def url(self, path: str, options: str = "") -> str:
        """Return the address of a page."""
        return f"http://127.0.0.1:{self._port}/{path}?{options}token={self._token}"

    def ask(self, method: str, path: str) -> Any:
        """Call the server's REST interface; return its answer."""
        request = urllib.request.Request(self.url(f"api/{path}"), method=method)
        with urllib.request.urlopen(request, timeout=END_S) as answer:
            return json.loads(answer.read() or "null")

    def end_kernels(self) -> None:
        """End all kernels, and wait until they are gone."""
        for session in self.ask("GET", "sessions"):
            self.ask("DELETE", f"sessions/{session['id']}")

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            return bool(self.ask("GET", "status"))
        except (urllib.error.URLError, ConnectionError):
            return False

    def cpu_s(self) -> float:
        """Return the seconds of CPU that the server has used, without its kernels."""
        used = psutil.Process(self._process.pid).cpu_times()
        return float(used.user + used.system)

    def stop(self) -> None:
        """End the server."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(END_S)
