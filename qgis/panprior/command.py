"""fusiontrain as a process: found, run, followed, stopped. Standard library alone, no QGIS."""

import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

# What QGIS sets for its own Python and GDAL; another environment's would break by it.
_OF_QGIS = (
    *("PYTHONHOME", "PYTHONPATH", "GDAL_DATA", "GDAL_DRIVER_PATH", "PROJ_LIB", "PROJ_DATA"),
    *("QT_PLUGIN_PATH", "SSL_CERT_FILE"),
)
_WHERE = "Settings > Options > Processing > Providers > panprior"
_SHARE = re.compile(r"(\d+) %")
_SCENE = re.compile(r"scene (\d+) of (\d+):")
_FIRST_PASS = 20  # percent of a scene's time, which its statistics take
_PATIENCE = 30  # seconds that a stopped process has to clean up


class CommandError(Exception):
    """One line for the user."""


class Cancelled(Exception):
    """The user stopped the process, and it is gone."""


def find_executable(setting):
    """The path that was set, or fusiontrain on the PATH. Raises: CommandError."""
    setting = setting.strip().strip('"')
    if setting:
        path = Path(setting).expanduser()
        if path.is_dir():  # an environment, or its bin
            for folder in (path, path / "bin", path / "Scripts"):
                found = shutil.which("fusiontrain", path=str(folder))
                if found:
                    return found
        elif path.is_file():
            return str(path)
        raise CommandError(f"there is no fusiontrain at {path}: set its path in {_WHERE}")
    found = shutil.which("fusiontrain")
    if found is None:
        raise CommandError(
            "fusiontrain is not on the PATH: install panprior (pip install panprior) in a Python "
            f"environment, and set the path of its fusiontrain in {_WHERE}"
        )
    return found


class Progress:
    """Lines of fusiontrain -> percent of the whole work."""

    def __init__(self):
        self.scene, self.scenes, self.percent = 1, 1, 0.0

    def read(self, line):
        """The percent after this line; it never falls."""
        scene = _SCENE.search(line)
        share = _SHARE.search(line)
        of_scene = 0.0
        if scene:
            self.scene, self.scenes = int(scene[1]), int(scene[2])
        elif share is None:
            return self.percent
        elif "statistics" in line:
            of_scene = _FIRST_PASS * int(share[1]) / 100
        else:
            of_scene = _FIRST_PASS + (100 - _FIRST_PASS) * int(share[1]) / 100
        whole = (100 * (self.scene - 1) + of_scene) / self.scenes
        self.percent = max(self.percent, whole)
        return self.percent


def run(argv, *, say, advance, is_cancelled):
    """Run a command to its end: its code, and its lines, which go to `say` as they come.

    Percents go to `advance`. Raises: CommandError if it cannot be run; Cancelled once the process
    has ended, if `is_cancelled()` said so.
    """
    try:
        process = subprocess.Popen(  # the user's own executable, no shell
            [str(word) for word in argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            env=_environment(),
            cwd=tempfile.gettempdir(),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        raise CommandError(
            f"cannot run {argv[0]}: {error.strerror or error}: set its path in {_WHERE}"
        ) from error
    lines, said, progress = queue.Queue(), [], Progress()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    ended = False
    while not ended:
        if is_cancelled():
            _stop(process)
            raise Cancelled
        try:
            line = lines.get(timeout=0.2)
        except queue.Empty:
            continue
        if line is None:
            ended = True
        elif line.strip():
            said.append(line)
            say(line)
            advance(progress.read(line))
    return process.wait(), said


def last_words(lines):
    """What a failed command said last, with the lines that belong to it; "" if nothing."""
    ours = [i for i, line in enumerate(lines) if line.startswith("fusiontrain")]
    words = lines[ours[-1] :] if ours else lines[-1:]
    text = " ".join(line.strip() for line in words)
    return re.sub(r"^fusiontrain( \w+)?: (error: )?", "", text)


def _read(process, lines):
    with process.stdout as stream:
        for line in stream:
            lines.put(line.rstrip("\n"))
    lines.put(None)


def _stop(process):
    """SIGTERM, which fusiontrain ends by without a half-written file."""
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _environment():
    return {key: value for key, value in os.environ.items() if key not in _OF_QGIS}
