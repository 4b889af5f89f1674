"""The page of audits is what the recorded audits give, and these are of the functions that are audited."""

import audit
import pytest

from relusym.audit import Audit
from relusym.audit.entries import framework_named

RECORDED = {one.framework: one for one in audit.audits()}


def test_the_page_is_what_the_records_give() -> None:
    written = audit.PAGE.read_text(encoding="utf-8")
    assert written == audit.page(list(RECORDED.values())), "write it anew: python benchmarks/audit.py"


@pytest.mark.parametrize("found", [pytest.param(one, id=name) for name, one in RECORDED.items()])
def test_a_record_is_complete_and_names_its_versions(found: Audit) -> None:
    entries = framework_named(found.framework).entries
    assert [entry.title for entry in entries] == list(found.functions)
    assert not found.quick
    assert {row.dtype for row in found.rows} == {"float16", "bfloat16", "float32", "float64"}
    assert found.versions[found.framework] != "not installed"
