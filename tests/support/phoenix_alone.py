"""Phoenix's client and its evaluators without its server, which `import phoenix` imports whole: 9 seconds of CPU.

With the server installed beside them, as it is here, each process of a run of tests would take these seconds to read
test modules that use the client. What stands under `phoenix.` imports nothing of the package's own module.
"""

from __future__ import annotations

import importlib.machinery
import sys
from types import ModuleType


def leave_out_the_server() -> None:
    """Have ``phoenix`` be a package that only leads to its subpackages; nothing where it is imported already."""
    found = importlib.machinery.PathFinder.find_spec("phoenix")
    if found is not None and found.submodule_search_locations is not None and "phoenix" not in sys.modules:
        package = ModuleType("phoenix", "A package whose own module is not run: see support.phoenix_alone.")
        package.__path__ = found.submodule_search_locations
        sys.modules["phoenix"] = package
