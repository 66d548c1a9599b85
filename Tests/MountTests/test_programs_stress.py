"""fio with verification and stress-ng's stressors of file systems: both tell by their exit status what went wrong."""

import pytest

ENGINES = {
    "psync": ["--ioengine=psync"],
    "mmap": ["--ioengine=mmap"],
    "libaio-direct": ["--ioengine=libaio", "--direct=1", "--iodepth=16"],
    "synced": ["--ioengine=pvsync2", "--sync=dsync", "--fsync=16"],
}
# Writes every block once in random order, then reads each and compares its checksum.
JOB = [
    "--rw=randwrite",
    "--bsrange=4k-64k",
    "--size=4m",
    "--numjobs=2",
    "--thread",
    "--verify=crc32c",
    "--verify_fatal=1",
    "--do_verify=1",
    "--verify_state_save=0",
    "--randrepeat=1",
    "--fallocate=none",
    "--group_reporting",
    "--output-format=terse",
]


@pytest.mark.parametrize("engine", ENGINES)
def test_fio_reads_back_what_it_wrote(local_twin, engine):
    def work(place):
        (place / "fio").mkdir()
        place.run("fio", f"--name={engine}", "--directory=fio", *JOB, *ENGINES[engine], told=False)

    # Each block carries the time at which it was written.
    local_twin.same(work, varies=["fio/*"])
    local_twin.arrives()


def test_fio_verifies_in_another_mount_what_it_wrote(local_twin):
    def verify(place):
        again = [word.replace("randwrite", "read").replace("4k-64k", "16k-16k") for word in JOB]
        place.run("fio", "--name=job", "--directory=.", *again, "--ioengine=psync", told=False)

    def work(place):
        words = [word.replace("4k-64k", "16k-16k") for word in JOB]
        place.run("fio", "--name=job", "--directory=.", *words, "--ioengine=psync", told=False)

    local_twin.same(work, varies=["job.*"])
    local_twin.arrives(verify)


# Stressors and how many of their operations; those of a group run at once, each in its own directory.
# Left out: what FUSE refuses (acl, fiemap, chattr, verity), what is not of the file system, what runs for long whatever
# it is told (link, symlink, fpunch), and filename, which expects names of 255 bytes that are no UTF-8: their keys
# would be over 1,024 bytes.
STRESSORS = {
    "names": "dentry:100 dir:20 dirdeep:20 dirmany:20 rename:300 touch:100 getdent:50 mknod:5",
    "attributes": "access:20 chmod:20 chown:100 utime:100 fstat:50 xattr:10 handle:50",
    "data": "copy-file:20 fsize:20 hdd:20 iomix:10 msync:100 seek:200 sync-file:2 sendfile:20 revio:20 fallocate:5",
    "locks": "flock:300 locka:200 lockf:200 lockofd:200 dup:20 fcntl:50 open:200 file-ioctl:50 io:20",
}


@pytest.mark.parametrize("group", STRESSORS)
def test_stress_ng_finds_nothing_wrong(local_twin, group):
    stressors = [word.split(":") for word in STRESSORS[group].split()]
    options = [word for name, count in stressors for word in (f"--{name}", "1", f"--{name}-ops", count)]
    sizes = ["--hdd-bytes", "4m", "--iomix-bytes", "4m", "--dentries", "64", "--dir-dirs", "64"]
    common = ["--verify", *sizes, "--timeout", "5"]

    def work(place):
        place.run("stress-ng", *options, *common, "--temp-path", place.path, told=False, timeout=120)

    local_twin.same(work)
    local_twin.arrives()
