"""The measurements of scripts/bench: each subject in turn, several rounds, medians and ratios to the first subject."""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/MountTests"))

import cold_reads  # noqa: E402
import durability  # noqa: E402
import large_files  # noqa: E402
import metadata  # noqa: E402
import recorder  # noqa: E402
from bench import Bench  # noqa: E402

MIB = 1 << 20
GROUPS = {
    "large-files": large_files.measure,
    "cold-reads": cold_reads.measure,
    "metadata": metadata.measure,
    "recorder": recorder.measure,
    "durability": durability.measure,
}


def main():
    arguments = argparse.ArgumentParser(prog="scripts/bench")
    arguments.add_argument("--quick", action="store_true", help="256 MiB and one round")
    arguments.add_argument("--no-peers", action="store_true", help="without s3fs and rclone")
    arguments.add_argument("--only", choices=GROUPS, help="one group of measurements")
    options = arguments.parse_args()
    size, rounds = (256 * MIB, 1) if options.quick else (1 << 30, 3)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir="/var/tmp") as directory:
        bench = Bench(Path(directory), size, rounds, not options.no_peers)
        for name, measure in GROUPS.items():
            if options.only in (None, name):
                measure(bench)
    return 0 if bench.report() else 1


if __name__ == "__main__":
    sys.exit(main())
