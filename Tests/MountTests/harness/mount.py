"""Sluice as a program: the commands, and a mount that always ends with the test."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from harness.processes import wait_until

REPOSITORY = Path(__file__).resolve().parents[3]
SLUICE = Path(os.environ.get("SLUICE", REPOSITORY / ".build/debug/sluice")).absolute()
# Short timers, so that a test does not wait for what a person would not notice.
QUICK = ["-o", "upload_delay=200ms"]


def sluice(*arguments, environment=None, timeout=120, launcher=()):
    """Runs a command to its end, below `launcher` if given; the result has returncode, stdout and stderr."""
    command = [*launcher, str(SLUICE), *map(str, arguments)]
    variables = {**os.environ, **(environment or {})}
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=timeout)


def is_mounted(path):
    """Whether the kernel's table has a mount at `path`; never asks the daemon, which may be dead."""
    target = str(path)
    return any(line.split()[4] == target for line in Path("/proc/self/mountinfo").read_text().splitlines())


class Mount:
    """A mount of `bucket` at `path`, with its state in `state`. A context manager; may be started again after its end."""

    def __init__(self, bucket, path, state, options=()):
        self.bucket = bucket
        self.path = Path(path)
        self.state = Path(state)
        self.options = [*QUICK, *map(str, options)]
        # A command that starts the daemon's command, as of another boot of the machine.
        self.launcher = []
        self.path.mkdir(parents=True, exist_ok=True)

    def start(self):
        result = self.try_start()
        assert result.returncode == 0, f"sluice mount failed: {result.stderr}"
        assert is_mounted(self.path)
        return self

    def try_start(self):
        return sluice(*self._arguments(), environment=self.bucket.environment, launcher=self.launcher)

    def _arguments(self):
        bucket = self.bucket
        return ["mount", bucket.source, self.path, *bucket.options, "--state-dir", self.state, *self.options]

    def start_and_kill_after(self, seconds, before_the_kill=lambda: None):
        """Starts the daemon and kills it at this moment of its life, stopped for `before_the_kill()`; says whether it
        answered by then."""
        command = [*self.launcher, str(SLUICE), *map(str, self._arguments()), "--foreground"]
        variables = {**os.environ, **self.bucket.environment}
        daemon = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        answered = is_mounted(self.path)
        assert daemon.poll() is None, f"the daemon ended by itself with {daemon.returncode}: {self.log()[-2000:]}"
        daemon.send_signal(signal.SIGSTOP)
        before_the_kill()
        daemon.kill()
        daemon.wait()
        while is_mounted(self.path):
            subprocess.run(["umount", "-l", str(self.path)], check=True)
        return answered

    __enter__ = start

    def __exit__(self, kind, *_):
        self.destroy()

    @property
    def pid(self):
        """The daemon: the process whose command line names this mount point and --foreground."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"--foreground" in arguments and os.fsencode(self.path) in arguments:
                return int(entry.name)
        return None

    def sync(self, path=None, timeout=120):
        result = sluice("sync", path or self.path, "--timeout", timeout, timeout=timeout + 30)
        assert result.returncode == 0, f"sluice sync ended with {result.returncode}: {result.stderr}"

    def status(self):
        result = sluice("status", self.path, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def unmount(self, *options):
        return sluice("unmount", self.path, *options)

    def stop(self):
        """Unmounts as a person does and waits for the daemon's end."""
        pid = self.pid
        result = self.unmount()
        assert result.returncode == 0, f"sluice unmount ended with {result.returncode}: {result.stderr}"
        assert not is_mounted(self.path)
        self.wait_for_end(pid)

    def freeze(self):
        """Halts the daemon where it is (SIGSTOP), so that nothing is sent from now on; what the kernel does for it goes on.
        Ends with `kill`."""
        os.kill(self.pid, signal.SIGSTOP)

    def kill(self, end_programs=lambda: None):
        """kill -9 of the daemon, and removal of the dead mount that the kernel keeps, after `end_programs()`: without the
        mount, a program could make its directories anew where that was."""
        pid = self.pid
        assert pid, "there is no daemon to kill"
        os.kill(pid, signal.SIGKILL)
        self.wait_for_end(pid)
        end_programs()
        subprocess.run(["umount", "-l", str(self.path)], check=False, capture_output=True)

    def terminate(self, signal_number=signal.SIGTERM):
        """Sends the daemon a signal that it answers with a clean end, and waits for that."""
        pid = self.pid
        os.kill(pid, signal_number)
        self.wait_for_end(pid)

    def destroy(self):
        """Ends everything, whatever state it is in. Never waits for the network."""
        pid = self.pid
        if pid:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.wait_for_end(pid)
        while is_mounted(self.path):
            subprocess.run(["umount", "-l", str(self.path)], check=True)

    @staticmethod
    def wait_for_end(pid):
        """Of all its threads: the first may be dead while another still holds the locks of the process."""
        def ended():
            try:
                return len(os.listdir(f"/proc/{pid}/task")) <= 1 and "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
            except (FileNotFoundError, ProcessLookupError):
                return True

        if pid:
            wait_until(ended, f"the daemon {pid} ends", timeout=30)

    def log(self):
        """What the daemon logged, for messages of failed tests."""
        try:
            return (self.state / "sluice.log").read_text()
        except FileNotFoundError:
            return ""


def wait_for_uploads_to_start(mount, timeout=30):
    """Waits until at least one byte of an upload is on its way, and returns the upload's entry of the status."""
    def started():
        return next((upload for upload in mount.status()["uploading"] if upload["bytes_done"] > 0), None)

    return wait_until(started, "an upload is under way", timeout, interval=0.02)


def timed(action):
    """Seconds that `action()` took."""
    start = time.monotonic()
    action()
    return time.monotonic() - start
