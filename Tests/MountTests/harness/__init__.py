"""What the mount tests, scripts/test, scripts/demo and scripts/bench share: servers, stores, mounts, writers."""
