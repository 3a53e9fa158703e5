"""What a run is made of: its folder, problems, results, what it shows, logs and says of itself."""

from econ_env.app.runs.folder import RunFolder
from econ_env.app.runs.recording import Record, make_record

__all__ = ["Record", "RunFolder", "make_record"]
