"""A trained team that is served, and a client of it."""

import pytest

from tests.econ_env.app.ask.serving import a_client, a_solver, served


@pytest.fixture(scope="module")
def solver(checkpoint):
    return a_solver(["", checkpoint.parent / "small.yaml"], checkpoint)


@pytest.fixture(scope="module")
def url(solver):
    with served(solver) as url:
        yield url


@pytest.fixture
def client(url):
    with a_client(url) as client:
        yield client
