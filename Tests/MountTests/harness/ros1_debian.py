"""Run by /usr/bin/python3, which has Debian's python3-rosbag: `ros1_debian.py record BAG` or `ros1_debian.py read BAG`.

Records as `rosbag record` does: into BAG.active, closed, then renamed. Reads as one line for each message.
"""

import hashlib
import os
import sys

import genpy
import rosbag
from std_msgs.msg import String, UInt8MultiArray

MESSAGES = 2_000
START = 1_700_000_000


def record(path):
    active = path + ".active"
    with rosbag.Bag(active, "w", chunk_threshold=256 * 1024) as bag:
        for index in range(MESSAGES):
            time = genpy.Time(START + index // 100, index % 100 * 10_000_000)
            bag.write("/log", String(data=f"message {index}"), time)
            if index % 10 == 0:
                payload = hashlib.sha256(str(index).encode()).digest() * 700
                bag.write("/camera", UInt8MultiArray(data=payload), time)
    os.rename(active, path)


def read(path):
    with rosbag.Bag(path, "r") as bag:
        for topic, (_, data, *_), time in bag.read_messages(raw=True):
            print(topic, time.to_nsec(), hashlib.sha256(data).hexdigest())


if __name__ == "__main__":
    {"record": record, "read": read}[sys.argv[1]](sys.argv[2])
