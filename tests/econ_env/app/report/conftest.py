import pytest

from tests.econ_env.app.report.made_runs import add_training, make_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """A run of three methods with learning curves; tests only read it."""
    folder = make_run(tmp_path_factory.mktemp("runs") / "logs")
    add_training(folder)
    return folder
