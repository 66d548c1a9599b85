#!/usr/bin/env python3
"""A recorder: writes 500 images of a camera into DIRECTORY, as a ROS 2 bag, an MCAP file or a plain log."""

import os
import struct
import sys
import time
from pathlib import Path

COUNT = 500
PERIOD_NS = 10_000_000


def samples():
    """(time in ns, bytes of an image)."""
    start = time.time_ns()
    for index in range(COUNT):
        yield start + index * PERIOD_NS, os.urandom(2_000)


def record_ros2(directory):
    import numpy
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    types = get_typestore(Stores.ROS2_HUMBLE)
    image, header = types.types["sensor_msgs/msg/CompressedImage"], types.types["std_msgs/msg/Header"]
    moment, text = types.types["builtin_interfaces/msg/Time"], types.types["std_msgs/msg/String"]
    with Writer(directory / "drive", version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        camera = bag.add_connection("/camera", image.__msgtype__, typestore=types)
        log = bag.add_connection("/log", text.__msgtype__, typestore=types)
        for now, payload in samples():
            stamp = moment(sec=now // 10**9, nanosec=now % 10**9)
            picture = image(header(stamp, "camera"), "jpeg", numpy.frombuffer(payload, dtype=numpy.uint8))
            bag.write(camera, now, types.serialize_cdr(picture, image.__msgtype__))
            bag.write(log, now, types.serialize_cdr(text(f"image of {len(payload)} bytes"), text.__msgtype__))


def record_mcap(directory):
    from mcap.writer import Writer

    with open(directory / "drive.mcap", "wb") as file:
        writer = Writer(file)
        writer.start(profile="", library="recorder")
        camera = writer.register_channel(topic="/camera", message_encoding="raw", schema_id=0)
        for now, payload in samples():
            writer.add_message(camera, log_time=now, publish_time=now, data=payload)
        writer.finish()


def record_log(directory):
    """Appends to `drive.log.active` and renames it when it is done, as rosbag does."""
    active = directory / "drive.log.active"
    with open(active, "wb") as log:
        for now, payload in samples():
            log.write(struct.pack("<QI", now, len(payload)) + payload)
    active.rename(directory / "drive.log")


def record(directory):
    """Takes the first of the three whose libraries are there."""
    for recorder in (record_ros2, record_mcap, record_log):
        try:
            return recorder(directory)
        except ImportError as error:
            print(f"no {error.name} in this Python: {recorder.__name__} is left out")


record(Path(sys.argv[1]))
