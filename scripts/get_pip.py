"""Install pip into the environment of this interpreter if `ensurepip` is missing (Debian without python3-venv).

The script uses only the standard library. It downloads the newest pip from the package index (`PIP_INDEX_URL`, or PyPI)
and compares it with the checksum that the index states.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urldefrag, urljoin
from urllib.request import urlopen

WHEEL = re.compile(r'href="([^"]*/(pip-([0-9.]+)-py3-none-any\.whl)[^"]*)"')


def main() -> None:
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/pip/"
    with urlopen(index) as page:
        found = WHEEL.findall(page.read().decode())
    if not found:
        sys.exit(
            f"pip is missing and {index} lists no wheel of it. "
            "Install pip yourself (Debian: apt-get install python3-venv) and run this again."
        )
    link, name, version = max(found, key=lambda match: [int(part) for part in match[2].rstrip(".").split(".")])
    url, fragment = urldefrag(urljoin(index, link))
    print(f"Fetching pip {version}, which this Python lacks")
    with urlopen(url) as response:
        wheel = response.read()
    _, _, digest = fragment.partition("sha256=")
    if digest and hashlib.sha256(wheel).hexdigest() != digest:
        sys.exit(f"{url} does not have the checksum that {index} states: a damaged download. Run this again.")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, name)
        path.write_bytes(wheel)
        subprocess.run(
            [sys.executable, f"{path}/pip", "install", "--quiet", "--disable-pip-version-check", str(path)], check=True
        )


if __name__ == "__main__":
    main()
