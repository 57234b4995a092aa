"""Makes the package and the SDK importable, from whichever folder pytest runs."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "src"), str(HERE.parent / "python" / "src"), str(HERE / "tests")]
