"""Libraries of data and of training, unchanged, in a mount: their files open, read the same and are in the bucket."""

import json
import mmap
import os
import random
import struct
import subprocess
import sys

import h5py
import numpy
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import zarr

from harness.processes import wait_until

MEBIBYTE = 1 << 20


def numbers(*shape, seed=1):
    return numpy.random.default_rng(seed).random(shape, dtype=numpy.float32)


# HDF5


def read_hdf5(place):
    with h5py.File(place / "data.h5", "r") as file:
        return file["grid"][...].tobytes(), file["log"][...].tobytes(), dict(file.attrs)


def test_h5py_creates_changes_and_extends(local_twin):
    def work(place):
        with h5py.File(place / "data.h5", "w") as file:
            file.create_dataset("grid", data=numbers(200, 300), chunks=(64, 64), compression="gzip", shuffle=True)
            file.create_dataset("log", data=numbers(100), maxshape=(None,), chunks=(100,))
        with h5py.File(place / "data.h5", "r+") as file:
            file["grid"][50:60] = 0
            file["log"].resize((1_000,))
            file["log"][500:] = numbers(500, seed=2)
            file.attrs["name"] = "changed"
        return read_hdf5(place)

    local_twin.same(work)
    local_twin.arrives(read_hdf5)


def test_h5py_keeps_a_second_writer_out(local_twin):
    open_again = "import h5py, sys; h5py.File(sys.argv[1], 'r+')"

    def work(place):
        with h5py.File(place / "data.h5", "w") as file:
            file["x"] = 1
            result = subprocess.run([sys.executable, "-c", open_again, place / "data.h5"], capture_output=True)
            assert b"unable to lock file" in result.stderr

    local_twin.same(work)


FOLLOW_HDF5 = """
import h5py, sys, time
with h5py.File(sys.argv[1], "r", libver="latest", swmr=True) as file:
    print("open", flush=True)
    data = file["x"]
    deadline = time.monotonic() + 30
    while len(data) < 500 and time.monotonic() < deadline:
        data.refresh()
        time.sleep(0.01)
    assert list(data[:]) == list(range(500)), len(data)
"""


def test_a_reader_follows_an_hdf5_file_that_grows(local_twin):
    """Single writer, multiple readers (SWMR)."""

    def work(place):
        with h5py.File(place / "data.h5", "w", libver="latest") as file:
            data = file.create_dataset("x", (0,), maxshape=(None,), chunks=(64,), dtype="i8")
            file.swmr_mode = True
            reader = subprocess.Popen([sys.executable, "-c", FOLLOW_HDF5, place / "data.h5"], stdout=subprocess.PIPE)
            assert reader.stdout.readline() == b"open\n"
            for index in range(0, 500, 50):
                data.resize((index + 50,))
                data[index:] = numpy.arange(index, index + 50)
                data.flush()
            assert reader.wait(60) == 0

    local_twin.same(work)
    local_twin.arrives()


# zarr


def read_zarr(place):
    group = zarr.open_group(place / "data.zarr", mode="r")
    return [group[name][...].tobytes() for name in ("flat", "deep/nested/grid", "deep/sharded")]


def test_zarr_makes_groups_and_nested_arrays(twin):
    """zarr makes the groups above an array by link(2) and unlink(2)."""

    def work(place):
        group = zarr.open_group(place / "data.zarr", mode="w")
        group.create_array("flat", data=numbers(100), chunks=(10,))
        grid = group.create_array("deep/nested/grid", data=numbers(40, 40), chunks=(10, 10))
        grid[5:15, 5:15] = 0
        group.create_array("deep/sharded", data=numbers(64, 64), chunks=(8, 8), shards=(32, 32))
        group.create_array("gone", data=numbers(10), chunks=(5,))
        del group["gone"]
        group.attrs["name"] = "changed"
        return read_zarr(place)

    twin.same(work)
    twin.arrives(read_zarr)


# Arrow and Parquet


def read_parquet(place):
    table = pyarrow.parquet.read_table(place / "table.parquet", memory_map=True)
    parts = pyarrow.dataset.dataset(place / "parts", format="parquet", partitioning="hive").to_table()
    with pyarrow.memory_map(str(place / "table.arrow")) as source:
        arrow = pyarrow.ipc.open_file(source).read_all()
    return table.to_pydict() == arrow.to_pydict(), table.num_rows, sorted(parts.to_pydict()["x"])


def test_pyarrow_writes_tables_and_partitions(local_twin):
    def work(place):
        count = 20_000
        columns = {"x": numbers(count), "y": [f"text {index % 97}" for index in range(count)]}
        table = pyarrow.table({**columns, "part": [index % 5 for index in range(count)]})
        with pyarrow.parquet.ParquetWriter(place / "table.parquet", table.schema, compression="zstd") as writer:
            for start in range(0, count, 5_000):
                writer.write_table(table.slice(start, 5_000))
        pyarrow.parquet.write_to_dataset(
            table, place / "parts", partition_cols=["part"], use_threads=False, basename_template="part-{i}.parquet"
        )
        with pyarrow.OSFile(str(place / "table.arrow"), "wb") as sink:
            with pyarrow.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        same, rows, parts = read_parquet(place)
        assert same and rows == count
        return parts

    local_twin.same(work)
    local_twin.arrives(read_parquet)


# numpy

READ_MEMMAP = """
import hashlib, numpy, sys
print(hashlib.sha256(numpy.load(sys.argv[1], mmap_mode="r")).hexdigest())
"""


def test_numpy_maps_an_array_and_fills_it_in_any_order(local_twin):
    def work(place):
        shape = (512, 1024)
        array = numpy.lib.format.open_memmap(place / "array.npy", mode="w+", dtype=numpy.float32, shape=shape)
        content = numbers(*shape)
        order = random.Random(2).sample(range(512), 512)
        for row in order[:400]:
            array[row] = content[row]
        seen_by_another = place.run(sys.executable, "-c", READ_MEMMAP, "array.npy")
        array.flush()
        del array
        changed = numpy.load(place / "array.npy", mmap_mode="r+")
        changed[order[400]] = 7
        changed.flush()
        del changed
        private = numpy.load(place / "array.npy", mmap_mode="c")
        private[:] = 0
        numpy.savez_compressed(place / "arrays.npz", a=content, b=content[:5])
        return seen_by_another, numpy.load(place / "array.npy").tobytes()

    local_twin.same(work, varies=["arrays.npz"])
    local_twin.arrives(lambda place: place.run(sys.executable, "-c", READ_MEMMAP, "array.npy"))


# Training


def test_a_checkpoint_is_replaced_while_the_last_one_is_mapped(twin):
    """As torch.save and safetensors do: write beside, fsync, rename; a mapping outlives the file's name."""

    def work(place):
        target = place / "model.pt"
        mapped = []
        for step in range(6):
            save_checkpoint(target, step)
            with open(target, "rb") as file:
                mapped.append(mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE))
            save_sized(place / "model.safetensors", step)
        assert [content[-1] for content in mapped] == list(range(6)), "each mapping keeps what it mapped"
        return [json.loads(content[8:108]) for content in mapped]

    twin.same(work)
    assert sorted(os.listdir(twin.mounted.path)) == ["model.pt", "model.safetensors"]
    twin.arrives()


def checkpoint(step):
    header = json.dumps({"step": step}).encode().ljust(100)
    return [struct.pack("<Q", len(header)), header, bytes([step]) * (3 * MEBIBYTE + step)]


def save_checkpoint(target, step):
    """One big writev, fsync, replace, fsync of the directory."""
    temporary = target.with_suffix(".tmp")
    with open(temporary, "wb", buffering=0) as file:
        parts = checkpoint(step)
        assert os.writev(file.fileno(), parts) == sum(map(len, parts))
        os.fsync(file.fileno())
    os.replace(temporary, target)
    directory = os.open(target.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def save_sized(target, step):
    """ftruncate to the size, write from the end, rename while the file is still open."""
    content = b"".join(checkpoint(step))
    temporary = target.with_name(f"{target.name}.{step}")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.ftruncate(descriptor, len(content))
    half = len(content) // 2
    os.pwrite(descriptor, content[half:], half)
    os.rename(temporary, target)
    os.pwrite(descriptor, content[:half], 0)
    os.close(descriptor)


# Reads whole records of 40 bytes as they come; ends at the 200th.
FOLLOW = """
import os, sys, time
position = 0
deadline = time.monotonic() + 60
while position < 200 * 40:
    assert time.monotonic() < deadline
    size = os.stat(sys.argv[1]).st_size
    if size < position + 40:
        time.sleep(0.001)
        continue
    with open(sys.argv[1], "rb") as file:
        file.seek(position)
        record = file.read(40)
    assert record == b"%039d\\n" % (position // 40), (position, record)
    position += 40
    print(position, flush=True)
"""


def test_a_reader_polls_a_log_that_grows_by_synced_records(local_twin):
    """As TensorBoard does with its event files, which their writer flushes after each event."""

    def work(place):
        path = place / "events.out.tfevents.1"
        path.touch()
        reader = subprocess.Popen([sys.executable, "-c", FOLLOW, path], stdout=subprocess.PIPE)
        with open(path, "ab", buffering=0) as file:
            for index in range(200):
                file.write(b"%039d\n" % index)
                os.fsync(file.fileno())
                if index == 50:
                    wait_until(lambda: reader.stdout.readline(), "the reader follows", 30)
        output, _ = reader.communicate(timeout=60)
        assert reader.returncode == 0 and output.endswith(b"8000\n")

    local_twin.same(work)
    local_twin.arrives()


def test_tail_follows_a_file_over_its_replacement(local_twin):
    """tail -F sees a new file of the old name by its inode number."""

    def work(place):
        (place / "log").write_text("one\n")
        command = ["tail", "-n", "+1", "-s", "0.05", "--follow=name", place / "log"]
        tail = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        lines = [tail.stdout.readline()]
        with open(place / "log", "a") as file:
            file.write("two\n")
        lines.append(tail.stdout.readline())
        (place / "log").rename(place / "log.1")
        (place / "log").write_text("three\n")
        lines.append(tail.stdout.readline())
        tail.terminate()
        tail.wait()
        return lines

    local_twin.same(work)
    local_twin.arrives()
