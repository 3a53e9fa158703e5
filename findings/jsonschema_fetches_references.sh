#!/usr/bin/env bash
# jsonschema 4.26: a `$ref` to a URL is downloaded while a value is validated, by `validate` and by every validator that is
# made without a registry; only a DeprecationWarning says so, and Python does not show it. What checks structured output
# (`response_format`) may so wait for a network. With `registry=Registry()` nothing is sent, and the error is
# `_WrappedReferencingError`, which is no ValidationError and no SchemaError.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "jsonschema==4.26.0"
cat > "$work/ask.py" <<'PY'
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import jsonschema
from referencing import Registry
from referencing.exceptions import Unresolvable

ASKED = []


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        ASKED.append(self.path)
        said = b'{"type": "integer"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
schema = {"$ref": f"http://127.0.0.1:{server.server_address[1]}/number.json"}
print("jsonschema", version("jsonschema"))
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    jsonschema.validate(4, schema)
print("validate: requests", ASKED, "warnings", [warning.category.__name__ for warning in warned])
assert ASKED == ["/number.json"]
assert {warning.category for warning in warned} == {DeprecationWarning}
ASKED.clear()
try:
    jsonschema.Draft202012Validator(schema, registry=Registry()).validate(4)
except Unresolvable as error:
    print("with a registry: requests", ASKED, "error", type(error).__name__, type(error).__mro__[1].__name__)
    assert not isinstance(error, jsonschema.ValidationError | jsonschema.SchemaError)
else:
    raise AssertionError("no error")
assert ASKED == []
PY
cd "$work"
"$work/venv/bin/python" ask.py
echo "still so"
