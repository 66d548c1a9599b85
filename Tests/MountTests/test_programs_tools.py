"""Everyday tools, unchanged: each does in a mount what it does in a plain directory, and the bucket has all of it."""

import os
import random
import signal
import stat
import subprocess

import pytest

from harness.processes import wait_until
from harness.twins import Place, tree

MEBIBYTE = 1 << 20
LONG_AGO = 1_600_000_000


@pytest.fixture
def source(tmp_path):
    """A tree of what tools carry about: modes, owners, times, links, odd names, empty and sparse files."""
    root = tmp_path / "source"
    contents = random.Random(3)
    files = {
        "read me.txt": (b"hello\n" * 100, 0o644),
        "bin/run.sh": (b"#!/bin/sh\necho ran\n", 0o755),
        "private/key": (b"secret", 0o600),
        "data/empty": (b"", 0o644),
        "data/ünï 漢字 🤖 (1) [x] & 'y'.bin": (contents.randbytes(70_000), 0o640),
        "data/large.bin": (contents.randbytes(5 * MEBIBYTE + 17), 0o444),
    }
    for index in range(60):
        files[f"many/{index % 7}/file-{index}"] = (contents.randbytes(index * 97), 0o644)
    for name, (content, mode) in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
        (root / name).chmod(mode)
    with open(root / "data/sparse", "wb") as file:
        file.write(b"start")
        file.seek(3 * MEBIBYTE)
        file.write(b"end")
    (root / "no entries").mkdir()
    (root / "private").chmod(0o700)
    (root / "link").symlink_to("read me.txt")
    (root / "bin/dangling").symlink_to("../nowhere/at all")
    os.chown(root / "private/key", 1234, 2345)
    for index, path in enumerate([*sorted(root.rglob("*"), reverse=True), root]):
        os.utime(path, (LONG_AGO + index, LONG_AGO + index), follow_symlinks=False)
    return root


# git


def test_git_clones_commits_collects_and_checks(twin, tmp_path):
    origin = tmp_path / "origin"
    origin.mkdir()
    make_origin(origin)

    def work(place):
        place.run("git", "clone", "-q", origin, "clone")
        clone = {"cwd": "clone"}
        place.run("git", "checkout", "-q", "-b", "feature", **clone)
        for index in range(3):
            (place / f"clone/src/new {index}.txt").write_text(f"line {index}\n" * 50)
            place.run("git", "add", "-A", **clone)
            place.run("git", "commit", "-q", "-m", f"commit {index}", **clone)
        place.run("git", "mv", "src/new 0.txt", "moved.txt", **clone)
        (place / "clone/tool").write_text("#!/bin/sh\n")
        (place / "clone/tool").chmod(0o755)
        (place / "clone/link").symlink_to("moved.txt")
        place.run("git", "add", "-A", **clone)
        place.run("git", "commit", "-q", "-m", "kinds", **clone)
        place.run("git", "checkout", "-q", "main", **clone)
        place.run("git", "merge", "--no-ff", "-m", "merge", "feature", **clone)
        (place / "clone/README").write_text("put away\n")
        place.run("git", "stash", "-q", **clone)
        place.run("git", "stash", "pop", "-q", **clone)
        place.run("git", "gc", "-q", "--prune=now", **clone)
        place.run("git", "fsck", "--strict", "--full", **clone)
        place.run("git", "clone", "-q", "--no-hardlinks", "clone", "second")
        return read_repository(place)

    # The index keeps inode numbers and times of the files, the configuration the place of the origin.
    twin.same(work, varies=["*/.git/index", "second/.git/config", "second/.git/logs/*", "second/.git/packed-refs"])
    twin.arrives(read_repository)


def make_origin(directory):
    """A repository with 8 commits and a tag."""
    place = Place(directory)
    place.run("git", "init", "-q", "-b", "main")
    (directory / "src").mkdir()
    contents = random.Random(5)
    for index in range(8):
        (directory / f"src/file-{index}").write_bytes(contents.randbytes(2_000))
        (directory / "README").write_text(f"version {index}\n")
        place.run("git", "add", "-A")
        place.run("git", "commit", "-q", "-m", f"commit {index}")
    place.run("git", "tag", "v1")


def read_repository(place):
    commands = [
        ["git", "status", "--porcelain", "--branch"],
        ["git", "log", "--graph", "--format=%H %s", "--stat"],
        ["git", "fsck", "--full"],
        ["git", "ls-files", "--stage"],
    ]
    return [place.run("git", "-c", "safe.directory=*", *command[1:], cwd="clone", told=False) for command in commands]


# Copies


def test_rsync_carries_a_tree_over_and_then_has_nothing_to_do(twin, source):
    def work(place):
        place.run("rsync", "-a", f"{source}/", "copy/")
        assert place.run("rsync", "-a", "--itemize-changes", f"{source}/", "copy/") == ""
        with open(place / "copy/data/ünï 漢字 🤖 (1) [x] & 'y'.bin", "r+b") as file:
            file.write(b"changed here")
        (place / "copy/bin/run.sh").unlink()
        (place / "copy/extra").write_text("to be deleted")
        return place.run("rsync", "-a", "--itemize-changes", "--delete", f"{source}/", "copy/")

    twin.same(work, times=True)
    # Directories may differ: SeaweedFS keeps none of their attributes.
    differences = lambda place: place.run("rsync", "-a", "--itemize-changes", f"{source}/", "copy/").splitlines()
    twin.arrives(lambda place: [line for line in differences(place) if line[1] != "d"])


@pytest.mark.parametrize("option", ["--inplace", "--sparse", "--append-verify", "--link-dest=."])
def test_rsync_writes_in_place_and_sparsely(local_twin, source, option):
    changes = ["--no-whole-file", "--checksum", "--itemize-changes"]

    def work(place):
        place.run("rsync", "-a", option, f"{source}/", "copy/")
        large = place / "copy/data/large.bin"
        large.chmod(0o644)
        if option == "--append-verify":
            os.truncate(large, 2 * MEBIBYTE)
        else:
            content = large.read_bytes()
            large.write_bytes(content[:1000] + b"inserted" + content[1000 : 4 * MEBIBYTE])
        place.run("rsync", "-a", option, *changes, f"{source}/", "copy/")
        return place.run("rsync", "-a", option, *changes, f"{source}/", "copy/")

    local_twin.same(work, times=True)
    local_twin.arrives()


def test_cp_keeps_what_it_copies(local_twin, source):
    def work(place):
        place.run("cp", "-a", f"{source}/.", "first")
        place.run("cp", "-a", "first", "second")
        place.run("cp", "--sparse=always", "first/data/sparse", "holes")
        place.run("diff", "-r", "--no-dereference", "first", "second")
        place.run("mv", "second", "third")

    local_twin.same(work)
    assert_kept(local_twin.mounted / "third", source)
    local_twin.arrives(lambda place: place.run("diff", "-r", "--no-dereference", source, "third"))


def assert_kept(copy, source):
    assert tree(copy) == tree(source)


def test_tar_takes_a_tree_apart_and_puts_it_together(local_twin, source, tmp_path):
    archive = tmp_path / "source.tar.gz"
    subprocess.run(["tar", "-czf", archive, "-C", source, "."], check=True)

    def work(place):
        (place / "tree").mkdir()
        place.run("tar", "-xpf", archive, "-C", "tree")
        place.run("tar", "--compare", "-f", archive, "-C", "tree")
        place.run("tar", "--sort=name", "--sparse", "-cf", "again.tar", "-C", "tree", ".")
        place.run("tar", "-rf", "again.tar", "-C", "tree", "link")
        return place.run("tar", "-tf", "again.tar")

    # A sparse file's map in the archive is that of the file system.
    local_twin.same(work, times=False, varies=["again.tar"])
    assert_kept(local_twin.mounted / "tree", source)
    local_twin.arrives(lambda place: place.run("tar", "--compare", "-f", archive, "-C", "tree"))


def test_zip_and_unzip_agree(local_twin, source):
    def work(place):
        place.run("cp", "-a", source, "tree")
        place.run("zip", "-q", "-r", "-X", "--symlinks", "tree.zip", "tree")
        place.run("unzip", "-q", "tree.zip", "-d", "out")
        place.run("diff", "-r", "--no-dereference", "tree", "out/tree")
        return sorted(place.run("unzip", "-l", "tree.zip", told=False).splitlines())

    local_twin.same(work, varies=["tree.zip"])
    local_twin.arrives(lambda place: place.run("unzip", "-t", "tree.zip"))


# Hard links


def test_tools_keep_hard_links_within_a_mount(local_twin, tmp_path):
    """tar, cp, rsync and git make them; each name is an object, and elsewhere a file of its own."""
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "one").write_text("content\n" * 1_000)
    os.link(packed / "one", packed / "two")
    subprocess.run(["tar", "-cf", tmp_path / "packed.tar", "-C", tmp_path, "packed"], check=True)
    origin = tmp_path / "origin"
    origin.mkdir()
    make_origin(origin)

    def work(place):
        place.run("tar", "-xf", tmp_path / "packed.tar")
        place.run("cp", "-a", "packed", "copied")
        place.run("rsync", "-aH", "packed/", "synced/")
        place.run("cp", "-al", "packed", "linked")
        place.run("git", "clone", "-q", "--no-hardlinks", origin, "clone")
        place.run("git", "clone", "-q", "--local", "clone", "second")
        place.run("git", "fsck", "--full", cwd="second")
        (place / "copied/two").open("a").write("through the other name\n")
        assert (place / "copied/one").read_text().endswith("name\n")
        links = {name: (place / name).stat().st_nlink for name in ("packed/one", "copied/two", "synced/one")}
        linked = [path.stat().st_nlink for path in (place / "second/.git/objects").rglob("*") if path.is_file()]
        return links, sorted(linked)

    local_twin.same(work, varies=["*/.git/index", "*/.git/config", "*/.git/logs/*", "*/.git/packed-refs"])
    assert (local_twin.mounted / "packed/one").stat().st_nlink == 4
    local_twin.arrives(read_repository)


# Editors


@pytest.mark.parametrize("backup", ["yes", "no", "auto"])
def test_vim_changes_a_file_and_keeps_its_mode(local_twin, backup):
    def work(place):
        settings = f"set backup writebackup backupcopy={backup} undodir=. directory=."
        # vim gives the undo file the mode of the text through its ACL, so where there are none it has no x.
        for name, mode, undo in (("notes", 0o640, "undofile"), ("script", 0o750, "noundofile")):
            (place / name).write_text("one\ntwo\nthree\n" * 1_000)
            (place / name).chmod(mode)
            for change in ("%s/two/2/", "$put ='end'", "1delete"):
                commands = [f"{settings} {undo}", change, "wq"]
                options = [word for command in commands for word in ("-c", command)]
                place.run("vim", "-u", "NONE", "-N", "-es", *options, name)
            assert stat.S_IMODE((place / name).stat().st_mode) == mode

    local_twin.same(work, varies=["*.un~"])
    local_twin.arrives()


def test_sed_replaces_a_file_and_keeps_its_mode(local_twin):
    def work(place):
        for name, mode in (("script", 0o755), ("private", 0o600), ("owned", 0o664)):
            (place / name).write_text("alpha\nbeta\n")
            (place / name).chmod(mode)
        os.chown(place / "owned", 1234, 2345)
        (place / "link").symlink_to("script")
        place.run("sed", "-i", "s/alpha/omega/", "script", "private", "owned")
        place.run("sed", "-i.orig", "--follow-symlinks", "1d", "link")
        place.run("sed", "-i", "s/x/y/", "missing", status=2)

    local_twin.same(work)
    local_twin.arrives()


# make

MAKEFILE = """\
OBJECTS = main.o add.o twice.o
program: $(OBJECTS)
\tcc -o $@ $^
%.o: %.c numbers.h
\tcc -c -o $@ $<
clean:
\trm -f program $(OBJECTS)
"""
SOURCES = {
    "numbers.h": "int add(int, int); int twice(int);\n",
    "add.c": '#include "numbers.h"\nint add(int a, int b) { return a + b; }\n',
    "twice.c": '#include "numbers.h"\nint twice(int a) { return add(a, a); }\n',
    "main.c": '#include <stdio.h>\n#include "numbers.h"\nint main(void) { printf("%d\\n", twice(21)); }\n',
    "Makefile": MAKEFILE,
}


def test_make_builds_what_changed_and_nothing_else(local_twin):
    def work(place):
        for name, content in SOURCES.items():
            (place / name).write_text(content)
        place.run("make")
        assert "is up to date" in place.run("make")
        assert place.run("./program") == "42\n"
        (place / "add.c").write_text(SOURCES["add.c"].replace("a + b", "a + b + 1"))
        place.run("make")
        assert place.run("./program") == "43\n"
        assert "is up to date" in place.run("make")

    local_twin.same(work)
    again = local_twin.arrives()
    assert "is up to date" in again.run("make"), "the times came back as they were"
    assert again.run("./program") == "43\n"
    again.run("make", "clean")


# flock


def test_flock_keeps_others_out_and_its_file_is_an_empty_object(local_twin):
    def work(place):
        # With --close the lock is that of flock alone, and gone as soon as flock is.
        command = ["flock", "--close", place / "lock", "sleep", "60"]
        holder = subprocess.Popen(command, start_new_session=True)
        try:
            held = lambda: subprocess.run(["flock", "-n", place / "lock", "true"]).returncode == 1
            wait_until(held, "the lock is held")
            place.run("flock", "-n", "-E", "7", "lock", "true", status=7)
            place.run("flock", "-w", "0.1", "lock", "true", status=1)
        finally:
            os.killpg(holder.pid, signal.SIGKILL)
            holder.wait()
        place.run("flock", "-n", "lock", "echo", "free")
        place.run("flock", "-n", ".", "echo", "a directory can be locked")

    local_twin.same(work)
    local_twin.arrives()
    assert local_twin.bucket.keys() == ["lock"] and local_twin.bucket.read("lock") == b""


# ffmpeg


def test_ffmpeg_moves_the_index_of_a_film_to_its_start(twin):
    def work(place):
        encode(place, "film.mp4", "-movflags", "+faststart")
        encode(place, "live.mp4", "-movflags", "+frag_keyframe+empty_moov")
        place.run("ffmpeg", "-v", "error", "-nostdin", "-i", "film.mp4", "-c", "copy", "-bitexact", "film.mkv")
        return decode(place)

    twin.same(work)
    content = (twin.mounted / "film.mp4").read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")
    twin.arrives(decode)


def encode(place, name, *options):
    """Three seconds of a test picture and a tone."""
    inputs = ["-f", "lavfi", "-i", "testsrc=size=320x240:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=44100"]
    codecs = ["-c:v", "mpeg4", "-b:v", "2M", "-c:a", "aac", "-threads", "1", "-bitexact", "-t", "3"]
    place.run("ffmpeg", "-v", "error", "-nostdin", *inputs, *codecs, *options, name)


def decode(place):
    """The digest of every frame."""
    names = ["film.mp4", "live.mp4"]
    arguments = ["-bitexact", "-f", "framemd5", "-"]
    return [place.run("ffmpeg", "-v", "error", "-nostdin", "-i", name, *arguments) for name in names]
