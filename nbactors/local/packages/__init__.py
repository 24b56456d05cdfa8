"""What a runtime_env needs on the disk: environments with installed packages, and unpacked archives.

All of it lies in the user's cache, so each is made once. What makes it holds a file lock, and writes a mark when it is
whole: nothing half made is ever used, whoever was killed when. An environment is a venv. It sees the packages of the
session, and its own come first on the path; `local/worker/applying.py` has a forked worker use it.

The session makes it when a call is submitted that needs it, and not a worker: so the user sees what the cell waits for,
and an interrupt ends it.
"""
