"""Makes NumPy's files for npy.rs: python make_npy.py (NumPy 2.4.6)."""

import numpy as np

arrays = {
    "bytes": np.arange(12, dtype=np.uint8).reshape(3, 2, 2),
    "labels": np.array([2, 0, 1], dtype=np.int64),
    "labels32": np.array([[2], [0], [1]], dtype=np.int32),
    "negative": np.array([2, -1, 1], dtype=np.int64),
    "rows": (np.arange(12, dtype=np.float32) / 8).reshape(3, 4),
    "fortran": np.asfortranarray((np.arange(12, dtype=np.float32) / 8).reshape(3, 4)),
    "big_endian": (np.arange(12) / 8).reshape(3, 4).astype(">f8"),
    "images": np.arange(36, dtype=np.float64).reshape(3, 2, 2, 3),
    "scalar": np.float64(0.1),
    "empty": np.zeros((0, 3), dtype=np.float32),
    "flags": np.array([True, False]),
}
np.savez("plain.npz", **arrays)
np.savez_compressed("packed.npz", **arrays)
np.save("rows.npy", arrays["rows"])
np.save("fortran.npy", arrays["fortran"])
np.save("objects.npy", np.array([{"a": 1}, None]), allow_pickle=True)
with open("version2.npy", "wb") as file:
    np.lib.format.write_array(file, arrays["labels"], version=(2, 0))
