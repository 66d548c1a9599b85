"""ROS 1 as it is on robots: roscore, a node that publishes, and `rosbag record` writing into a mount."""

import os
import signal
import subprocess

import pytest

from harness.processes import free_ports, stop, wait_until
from harness.writers import DEBIAN_PYTHON, read_ros1_debian

# Publishes as soon as the recorder listens, and goes when the recorder has had time to take everything.
PUBLISHER = """
import rospy
from std_msgs.msg import String
rospy.init_node("talker")
topic = rospy.Publisher("/chatter", String, queue_size=1000)
while not topic.get_num_connections():
    rospy.sleep(0.02)
for index in range(300):
    topic.publish(String(data="message %d " % index + "x" * 2000))
    rospy.sleep(0.001)
rospy.sleep(0.5)
"""


@pytest.fixture(scope="module")
def ros(tmp_path_factory):
    """The environment of nodes of a running roscore."""
    directory = tmp_path_factory.mktemp("ros")
    (port,) = free_ports(1)
    variables = {
        "ROS_MASTER_URI": f"http://127.0.0.1:{port}",
        "ROS_IP": "127.0.0.1",
        "ROS_LOG_DIR": str(directory),
        "HOME": str(directory),
    }
    environment = {**os.environ, **variables}
    with open(directory / "roscore.log", "wb") as log:
        roscore = subprocess.Popen(["roscore", "-p", str(port)], env=environment, stdout=log, stderr=log)
    try:
        wait_until(lambda: "/rosout" in system_state(environment), f"roscore answers (see {directory})", timeout=60)
        yield environment
    finally:
        stop(roscore)


def system_state(environment):
    """What the master knows, as text; empty while it does not answer."""
    ask = "import rosgraph; print(rosgraph.Master('/test').getSystemState())"
    return subprocess.run([DEBIAN_PYTHON, "-c", ask], env=environment, capture_output=True, text=True).stdout


def record(place, ros, *options):
    """Records what the publisher says, and ends the recorder as Ctrl-C does."""
    command = ["rosbag", "record", "--output-name=drive.bag", *options, "/chatter"]
    recorder = subprocess.Popen(command, cwd=place.path, env=ros, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        subprocess.run([DEBIAN_PYTHON, "-c", PUBLISHER], env=ros, check=True, timeout=60)
        os.killpg(recorder.pid, signal.SIGINT)
        recorder.wait(30)
    finally:
        stop(recorder)
    return recorder.returncode


def messages(place):
    """Topic and digest of every message; the times are those of the recording."""
    lines = (line.split() for line in read_ros1_debian(place.path))
    return [(topic, digest) for topic, _, digest in lines]


def test_rosbag_records_into_a_mount(twin, ros):
    def work(place):
        result = record(place, ros, "--chunksize=64"), messages(place)
        assert len(result[1]) == 300
        return result

    twin.same(work, varies=["drive.bag"])
    assert os.listdir(twin.mounted.path) == ["drive.bag"]
    twin.arrives(messages)
