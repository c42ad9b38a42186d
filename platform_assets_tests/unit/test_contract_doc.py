from pathlib import Path

from platform_assets.tables import marketplace
from platform_assets.tables.contract_doc import render_contract

CONTRACT = Path(__file__).parents[2] / "docs" / "contract.md"


def test_the_contract_page_is_up_to_date():
    assert CONTRACT.read_text(encoding="utf-8") == render_contract(), (
        "run: python -m platform_assets.tables.contract_doc > docs/contract.md"
    )


def test_every_column_has_a_type_and_a_meaning():
    page = render_contract()
    for table in marketplace.metadata.tables.values():
        assert f"### `marketplace.{table.name}`" in page
        assert table.comment
        for column in table.columns:
            assert column.comment, f"{table.name}.{column.name}"
            assert f"| `{column.name}` |" in page
