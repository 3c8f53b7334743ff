"""Headers of a tar that are read only as far as an honest one goes."""

from __future__ import annotations

import tarfile

LONGEST_HEADER = 1 << 20  # bytes of an extended header, which is read as a whole
SPARSE = "is a sparse file: pack it again without --sparse"


class Refused(Exception):
    """What a header of a tar asks for, and gets not."""


class BoundedTarInfo(tarfile.TarInfo):
    """A header that takes no more memory than an honest one."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        header = super().frombuf(buf, encoding, errors)
        if header.type == tarfile.GNUTYPE_SPARSE:
            raise Refused(f"{header.name!r} {SPARSE}")
        if not header.isreg() and not header.isdir() and header.size > LONGEST_HEADER:
            raise Refused(f"the header of {header.name!r} declares {header.size / 1e6:.1f} MB")
        return header

    def _proc_gnusparse_10(self, following, pax_headers, *_):
        """Of tarfile: would make a list of the holes, which the file itself has, however many there are."""
        raise Refused(f"{pax_headers.get('GNU.sparse.name', following.name)!r} {SPARSE}")
