"""A mount that nobody uses, some seconds after its directory was listed."""

import time

SETTLES, COUNTED = 3, 10
MEMORY_LIMIT_MB = 40


def measure(bench):
    resident = "resident memory, MB"

    def of(driver):
        def measure():
            with driver.mounted() as mount:
                list(mount.path.iterdir())
                time.sleep(SETTLES)
                return {
                    resident: mount.memory_mb("VmRSS"),
                    "memory that is no file's, MB": mount.memory_mb("RssAnon"),
                    "wakeups per second": mount.wakeups_per_second(bench.count(COUNTED)),
                }

        return measure

    rows = bench.compare([(driver.name, of(driver)) for driver in bench.mounts], rounds=1)
    bench.at_most(rows[resident], MEMORY_LIMIT_MB)
