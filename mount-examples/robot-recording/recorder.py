#!/usr/bin/env python3
"""A recorder: appends sensor records to DIRECTORY/drive.log.active and renames the file when it is done."""

import os
import struct
import sys
import time

directory = sys.argv[1]
active = os.path.join(directory, "drive.log.active")
with open(active, "wb") as log:
    for index in range(500):
        payload = os.urandom(2_000)
        log.write(struct.pack("<QI", time.time_ns(), len(payload)) + payload)
os.rename(active, os.path.join(directory, "drive.log"))
