"""What every page is given: where the runs are, and who may ask. Runs are looked up by name, never opened by one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request

from selfreward.query.kept import iteration
from selfreward.storage.catalogue import run_paths
from selfreward.storage.iteration import IterationStore
from selfreward.storage.run import RunStore
from selfreward.viewer.security import Access


@dataclass(frozen=True)
class Site:
    """A directory of runs, and its visitors."""

    runs_dir: Path
    access: Access

    def run(self, name: str) -> RunStore:
        """A run by its name among those that are there."""
        for path in run_paths(self.runs_dir):
            if path.name == name:
                return RunStore(path)
        raise HTTPException(404, f"{name}: no such run in {self.runs_dir}")

    def has(self, name: str) -> bool:
        """Whether there is such a run."""
        return any(path.name == name for path in run_paths(self.runs_dir))


def site_of(request: Request) -> Site:
    """The site that a request came to."""
    site = request.app.state.site
    assert isinstance(site, Site)
    return site


def run_of(request: Request) -> RunStore:
    """The run that an address names."""
    return site_of(request).run(request.path_params["run"])


def iteration_of(request: Request, run: RunStore) -> IterationStore:
    """The iteration that an address names."""
    number = request.path_params["t"]
    begun = run.iterations()
    if number not in begun:
        raise HTTPException(404, f"no iteration {number}; begun so far: {', '.join(map(str, begun)) or 'none'}")
    return iteration(run, number)
