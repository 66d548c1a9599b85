"""opendir(3) and its kin: what Python hides of directories."""

import ctypes
import os


class _Entry(ctypes.Structure):
    """struct dirent of 64-bit Linux, but for the name, which is as long as it is."""

    _fields_ = [
        ("number", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("length", ctypes.c_ushort),
        ("kind", ctypes.c_ubyte),
        ("name", ctypes.c_char * 256),
    ]


_libc = ctypes.CDLL(None, use_errno=True)
_libc.opendir.restype = ctypes.c_void_p
_libc.readdir.argtypes = [ctypes.c_void_p]
_libc.readdir.restype = ctypes.POINTER(_Entry)
_libc.telldir.argtypes = [ctypes.c_void_p]
_libc.telldir.restype = ctypes.c_long
_libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
_libc.rewinddir.argtypes = [ctypes.c_void_p]
_libc.closedir.argtypes = [ctypes.c_void_p]


class Directory:
    """An open directory stream; a context manager."""

    def __init__(self, path):
        self.stream = _libc.opendir(os.fsencode(path))
        if not self.stream:
            raise OSError(ctypes.get_errno(), f"opendir of {path}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _libc.closedir(self.stream)

    def read(self):
        """The next name, `.` and `..` left out; None at the end."""
        while True:
            ctypes.set_errno(0)
            entry = _libc.readdir(self.stream)
            if not entry:
                if ctypes.get_errno():
                    raise OSError(ctypes.get_errno(), "readdir")
                return None
            if entry.contents.name not in (b".", b".."):
                return os.fsdecode(entry.contents.name)

    def rest(self):
        """All names from here to the end."""
        names = []
        while (name := self.read()) is not None:
            names.append(name)
        return names

    def tell(self):
        return _libc.telldir(self.stream)

    def seek(self, place):
        _libc.seekdir(self.stream, place)

    def rewind(self):
        _libc.rewinddir(self.stream)
