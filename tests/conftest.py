"""What all tests share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def outside_github() -> Iterator[None]:
    """Kernels that are broken on purpose must not be annotations of the run that tests this project."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("GITHUB_ACTIONS", raising=False)
        yield
