import re
from pathlib import Path

from platform_assets import errors

SOURCES = Path(errors.__file__).parent


def test_the_tree_of_errors_names_every_one_that_the_platform_explains() -> None:
    defined = {
        name
        for path in SOURCES.rglob("*.py")
        for name in re.findall(r"^class (\w+)\(PlatformError\)", path.read_text(), flags=re.MULTILINE)
    }
    named = re.findall(r"── (\w+) ", errors.__doc__ or "")

    assert set(named) == defined
    assert len(named) == len(defined)
