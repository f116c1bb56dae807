"""Writes rows.orc: a small S3 Inventory in ORC, as another library than the program's own writes it.

Usage, with pyarrow installed: rows_orc.py tests/corpus/inventory/rows.orc
"""

import datetime as dt
import sys

import pyarrow as pa
from pyarrow import orc

WHEN = dt.datetime(2026, 1, 1)
ROWS = [
    ("emr/j-1/a b.gz", "v1", True, False, 10, "SSE-S3"),
    ("emr/j-1/a b.gz", "v0", False, False, 5, "SSE-KMS"),
    ("emr/j-2/x.gz", "v2", True, True, None, None),
    ("emr/j-2/x.gz", "v1", False, False, 7, "DSSE-KMS"),
    ("emr/team/j-3/y.gz", "v1", True, False, 100, "SSE-C"),
    ("emr/team/j-3/z.gz", "v1", True, False, 1, "NOT-SSE"),
    ("emr/team/j-3/w.gz", "v1", True, False, 2, None),
    ("other/file", "v1", True, False, 1000, "SSE-S3"),
]
key, version, latest, marker, size, encryption = map(list, zip(*ROWS))
orc.write_table(
    pa.table({
        "bucket": pa.array(["logs"] * len(ROWS)),
        "key": pa.array(key),
        "version_id": pa.array(version),
        "is_latest": pa.array(latest),
        "is_delete_marker": pa.array(marker),
        "size": pa.array(size, pa.int64()),
        "last_modified_date": pa.array([WHEN] * len(ROWS), pa.timestamp("ms")),
        "e_tag": pa.array(["e"] * len(ROWS)),
        "storage_class": pa.array(["STANDARD"] * len(ROWS)),
        "encryption_status": pa.array(encryption),
    }),
    sys.argv[1],
    compression="zlib",
)
