"""The measurements of scripts/bench: runs the groups, prints what they find, and writes docs/benchmarks.md after a whole run."""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/MountTests"))

import changes  # noqa: E402
import durability  # noqa: E402
import idle  # noqa: E402
import listing  # noqa: E402
import machine  # noqa: E402
import metadata  # noqa: E402
import million  # noqa: E402
import reads  # noqa: E402
import recorder  # noqa: E402
import report  # noqa: E402
import uploads  # noqa: E402
import writes  # noqa: E402
from bench import Bench  # noqa: E402
from drivers import PEERS  # noqa: E402
from harness import servers  # noqa: E402

# Each has measure(bench); what its first lines say goes into the document. Those that time single calls come before those
# that leave the disk much to clean up.
GROUPS = {
    module.__name__: module
    for module in (writes, recorder, uploads, reads, metadata, durability, changes, idle, listing, million)
}


def main():
    arguments = argparse.ArgumentParser(prog="scripts/bench")
    arguments.add_argument("--rounds", type=int, help="5 unless given, 1 with --quick")
    arguments.add_argument("--quick", action="store_true", help="a sixteenth of the bytes, a tenth of the files; no document")
    arguments.add_argument("--no-peers", action="store_true", help="without s3fs, rclone and JuiceFS; no document")
    arguments.add_argument("--only", choices=GROUPS, action="append", help="these groups of measurements; no document")
    options = arguments.parse_args()
    rounds = options.rounds or (1 if options.quick else 5)
    peers = [] if options.no_peers else [peer for peer in PEERS if peer.is_installed()]
    with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir="/var/tmp") as path:
        directory = Path(path)
        with machine.processors_awake() as is_awake, servers.seaweedfs(directory / "weed") as weed:
            bench = Bench(directory, weed, peers, rounds, options.quick)
            for name in options.only or GROUPS:
                bench.begin(name, GROUPS[name].__doc__)
                GROUPS[name].measure(bench)
                print(f"\n{name}\n{report.tables(bench.groups[-1])}", flush=True)
        if not (options.quick or options.no_peers or options.only):
            report.write_document(ROOT / "docs", "scripts/bench", machine.facts(directory, rounds, peers, is_awake), bench.groups)
    return 0 if all(is_met for group in bench.groups for _, is_met in group.targets) else 1


if __name__ == "__main__":
    sys.exit(main())
