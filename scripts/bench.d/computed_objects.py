"""Objects that are computed, not stored: their keys in the order of a listing, and their bytes."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from objects import FILE_SIZE


class Keys(Sequence):
    """`top/`, and below it as many names at each level as `shape` says, the last ones those of objects. Sorted, as all names
    of a level are numbers of one length."""

    def __init__(self, shape):
        self.levels = [(number, len(str(number - 1))) for number in reversed(shape)]
        self.count = math.prod(shape)

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError
        key = ".bin"
        for number, width in self.levels:
            index, name = divmod(index, number)
            key = f"/{name:0{width}}{key}"
        return f"top{key}"

    def find(self, key):
        """Its index; None if there is no such key."""
        index = bisect_left(self, key)
        return index if index < self.count and self[index] == key else None

    def behind(self, prefix):
        """The index behind the last key that begins so, or would."""
        return bisect_right(self, prefix, key=lambda key: key[: len(prefix)])

    def page(self, prefix, delimiter, start, limit):
        """From index `start` on: keys with their indices, common prefixes, and the index to go on at; None at the end."""
        found, common, end = [], [], self.behind(prefix)
        while start < end and len(found) + len(common) < limit:
            key = self[start]
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                found.append((key, start))
                start += 1
            else:
                common.append(key[: cut + 1])
                start = self.behind(common[-1])
        return found, common, start if start < end else None


def content(index):
    return f"{index:016}".encode() * (FILE_SIZE // 16)


def etag(index):
    """That of an upload in parts, which is no MD5 of the content."""
    return f'"{index:032x}-1"'
