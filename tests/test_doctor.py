"""The doctor: tells what works from what does not, says what to do, and fails only for what is needed."""

import pytest

from dualtalk import doctor
from dualtalk.doctor import Check
from dualtalk.errors import SetupError


def works():
    return "1.0"


def lacks():
    raise SetupError("no EGL; apt-get install libegl1")


def breaks():
    raise ImportError("no module named x")


def test_everything_required_works_here(capsys):
    findings = doctor.examine()
    assert [finding for finding in findings if finding.required and not finding.works] == []
    assert doctor.show(findings)
    assert len(capsys.readouterr().out.splitlines()) == len(doctor.CHECKS)


@pytest.mark.parametrize(
    ("attempt", "required", "passes", "says"),
    [
        (works, True, True, "1.0"),
        (lacks, True, False, "apt-get install libegl1"),
        (lacks, False, True, "apt-get install libegl1"),
        (breaks, True, False, "pip install"),
    ],
)
def test_a_finding_says_what_to_do(monkeypatch, attempt, required, passes, says):
    monkeypatch.setattr(doctor, "CHECKS", (Check("thing", attempt, required=required),))
    findings = doctor.examine()
    assert says in findings[0].says
    assert doctor.show(findings) is passes
