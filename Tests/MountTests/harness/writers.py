"""Real recorders, unchanged: each writes the same recording into any directory and reads its messages back."""

import hashlib
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy
from mcap.reader import make_reader
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Ros2Writer
from rosbags.typesys import Stores, get_typestore

DEBIAN_PYTHON = "/usr/bin/python3"
DEBIAN_ROSBAG = Path(__file__).with_name("ros1_debian.py")
START = 1_700_000_000_000_000_000
ROS1 = get_typestore(Stores.ROS1_NOETIC)
ROS2 = get_typestore(Stores.ROS2_JAZZY)


@dataclass(frozen=True)
class Writer:
    """`write(directory)` records; `read(directory)` gives the messages as comparable values, through the same library."""

    name: str
    write: Callable
    read: Callable


def samples(count=1_000, image_bytes=60_000):
    """(topic index, time in ns, payload): a fast topic of numbers and a slow one of images, the same at every call."""
    random_bytes = random.Random(7)
    for index in range(count):
        time = START + index * 5_000_000
        yield "log", time, f"message {index}"
        if index % 10 == 0:
            yield "camera", time, random_bytes.randbytes(image_bytes)


# ROS 1


def write_ros1_debian(directory):
    subprocess.run([DEBIAN_PYTHON, DEBIAN_ROSBAG, "record", directory / "drive.bag"], check=True)


def read_ros1_debian(directory):
    command = [DEBIAN_PYTHON, DEBIAN_ROSBAG, "read", directory / "drive.bag"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def write_ros1_rosbags(directory):
    with Ros1Writer(directory / "drive.bag") as bag:
        _record_ros(bag, ROS1, ROS1.serialize_ros1, header_has_sequence=True)


def read_ros1_rosbags(directory):
    return _read_ros(directory / "drive.bag")


# ROS 2


def write_ros2(directory, storage):
    with Ros2Writer(directory / "drive", version=9, storage_plugin=storage) as bag:
        _record_ros(bag, ROS2, ROS2.serialize_cdr, header_has_sequence=False)


def read_ros2(directory):
    return _read_ros(directory / "drive")


def _record_ros(bag, types, serialize, header_has_sequence):
    connections = {
        "log": bag.add_connection("/log", "std_msgs/msg/String", typestore=types),
        "camera": bag.add_connection("/camera", "sensor_msgs/msg/CompressedImage", typestore=types),
    }
    for topic, time, payload in samples():
        if topic == "log":
            message = types.types["std_msgs/msg/String"](data=payload)
        else:
            message = _image(types, time, payload, header_has_sequence)
        bag.write(connections[topic], time, serialize(message, connections[topic].msgtype))


def _image(types, time, payload, header_has_sequence):
    stamp = types.types["builtin_interfaces/msg/Time"](sec=time // 10**9, nanosec=time % 10**9)
    sequence = {"seq": 0} if header_has_sequence else {}
    header = types.types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera", **sequence)
    data = numpy.frombuffer(payload, dtype=numpy.uint8)
    return types.types["sensor_msgs/msg/CompressedImage"](header=header, format="jpeg", data=data)


def _read_ros(path):
    with AnyReader([path]) as reader:
        return [(connection.topic, time, _digest(data)) for connection, time, data in reader.messages()]


# MCAP, as a logger without ROS writes it


def write_mcap(directory):
    with open(directory / "drive.mcap", "wb") as file:
        writer = McapWriter(file, compression=CompressionType.NONE, chunk_size=768 * 1024)
        writer.start(profile="", library="recorder")
        channels = {
            topic: writer.register_channel(topic=f"/{topic}", message_encoding="raw", schema_id=0)
            for topic in ("log", "camera")
        }
        for sequence, (topic, time, payload) in enumerate(samples()):
            data = payload if isinstance(payload, bytes) else payload.encode()
            writer.add_message(channels[topic], log_time=time, publish_time=time, sequence=sequence, data=data)
        writer.finish()


def read_mcap(directory):
    with open(directory / "drive.mcap", "rb") as file:
        messages = make_reader(file, validate_crcs=True).iter_messages()
        return [(channel.topic, message.log_time, _digest(message.data)) for _, channel, message in messages]


# Plain files


def write_small_files(directory):
    """2,000 files of 0 to 8 kB in a tree of 40 directories, as a dataset or a source tree has them."""
    contents = random.Random(11)
    for index in range(2_000):
        folder = directory / f"set-{index % 4}" / f"class-{index % 40:02}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"sample {index:04}.bin").write_bytes(contents.randbytes(contents.randrange(8_192)))


def read_tree(directory):
    files = (path for path in directory.rglob("*") if path.is_file())
    return sorted((str(path.relative_to(directory)), _digest(path.read_bytes())) for path in files)


def write_large_file(directory, size=1 << 30, block=1 << 20):
    """A file of 1 GiB in writes of 1 MiB, no two blocks alike."""
    pattern = random.Random(13).randbytes(block)
    with open(directory / "large.bin", "wb", buffering=0) as file:
        for index in range(size // block):
            file.write(index.to_bytes(8, "little") + pattern[8:])


def read_large_file(directory):
    with open(directory / "large.bin", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(data):
    return hashlib.sha256(data).hexdigest()


WRITERS = [
    Writer("ros1-debian", write_ros1_debian, read_ros1_debian),
    Writer("ros1-rosbags", write_ros1_rosbags, read_ros1_rosbags),
    Writer("ros2-sqlite3", lambda directory: write_ros2(directory, StoragePlugin.SQLITE3), read_ros2),
    Writer("ros2-mcap", lambda directory: write_ros2(directory, StoragePlugin.MCAP), read_ros2),
    Writer("mcap", write_mcap, read_mcap),
    Writer("small-files", write_small_files, read_tree),
    Writer("large-file", write_large_file, read_large_file),
]
