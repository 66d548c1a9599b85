"""A mount that nobody uses, some seconds after its directory was listed."""

import time

SETTLES, COUNTED = 3, 10


def measure(bench):
    def of(driver):
        def measure():
            with driver.mounted() as mount:
                list(mount.path.iterdir())
                time.sleep(SETTLES)
                return {
                    "resident memory, MB": mount.memory_mb("VmRSS"),
                    "memory that is no file's, MB": mount.memory_mb("RssAnon"),
                    "wakeups per second": mount.wakeups_per_second(bench.count(COUNTED)),
                }

        return measure

    bench.compare([(driver.name, of(driver)) for driver in bench.mounts], rounds=1)
