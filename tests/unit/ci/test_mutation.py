"""The subjects of mutation testing exist."""

import pytest

from mutation import SUBJECTS, Subject
from tests.support.repository import ROOT


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS.keys())
def test_modules_and_tests_of_a_subject_exist(subject: Subject) -> None:
    for module in subject.modules:
        assert any((ROOT / root / f"{module}.py").is_file() for root in ("server", "tools")), module
    for test in subject.tests:
        assert (ROOT / "tests" / f"{test}.py").is_file(), test
