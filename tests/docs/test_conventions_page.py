"""The page of conventions shows the table as the command prints it."""

from pathlib import Path

from relusym.conventions import render, table

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "conventions.md"


def test_the_page_ends_with_the_table_of_the_command() -> None:
    written = PAGE.read_text(encoding="utf-8")
    head, title, _ = written.partition("\n## ")
    made = f"{head}\n{render(table(), 'markdown')}\n"
    assert title
    assert written == made, "put what `relusym conventions --format markdown` prints under the page's first part"
