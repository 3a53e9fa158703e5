#!/usr/bin/env bash
# datasets 5.2: a Parquet file's own key-value metadata (a licence, a source, a version) does not survive
# Dataset.from_parquet and to_parquet. What is loaded has only the key "huggingface", and so has the copy that is written;
# nothing says that the rest is gone. A program that keeps facts there must read and write the metadata with pyarrow.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "datasets==5.2.0"
cd "$work"
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'PY'
from importlib.metadata import version

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

datasets.disable_progress_bars()
rows = pa.table({"problem": [1, 2], "answer": ["4", "9"]})
pq.write_table(rows.replace_schema_metadata({b"licence": b"MIT", b"source": b"somewhere"}), "given.parquet")
loaded = datasets.Dataset.from_parquet("given.parquet", cache_dir="cache")
loaded.to_parquet("copied.parquet")
keys = {
    "given": sorted(pq.read_schema("given.parquet").metadata),
    "loaded": sorted(loaded.data.table.schema.metadata or {}),
    "copied": sorted(pq.read_schema("copied.parquet").metadata),
}
print("datasets", version("datasets"), "pyarrow", version("pyarrow"))
for name, found in keys.items():
    print(name, found)
assert keys == {"given": [b"licence", b"source"], "loaded": [b"huggingface"], "copied": [b"huggingface"]}, keys
PY
