"""Programs in C: what they measure is not the cost of an interpreter."""

import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Program:
    """`name`.c, compiled into `directory`."""

    def __init__(self, directory, name):
        self.path = directory / name
        compile_program(HERE / f"{name}.c", self.path)

    def __call__(self, *arguments):
        """Seconds that it measured."""
        return self.numbers(*arguments)[0]

    def numbers(self, *arguments):
        """All that it prints."""
        result = subprocess.run([self.path, *map(str, arguments)], capture_output=True, text=True, check=True)
        return [float(word) for word in result.stdout.split()]


def compile_program(source, program):
    flags = subprocess.run(["pkg-config", "fuse3", "--cflags", "--libs"], capture_output=True, text=True, check=True)
    subprocess.run(["gcc", "-O2", source, "-o", program, *flags.stdout.split()], check=True)
