"""The verb `doctor`: each check passes or gives a remedy, and only required checks make it fail."""

import pytest

from dualtalk import doctor
from dualtalk.doctor import Check
from dualtalk.errors import SetupError


def works():
    return "1.0"


def raises_setup_error():
    raise SetupError("no EGL; apt-get install libegl1")


def raises_import_error():
    raise ImportError("no module named x")


def test_every_required_check_passes_on_this_machine(capsys):
    findings = doctor.examine()
    assert [finding for finding in findings if finding.required and not finding.works] == []
    assert doctor.show(findings)
    assert len(capsys.readouterr().out.splitlines()) == len(doctor.CHECKS)


@pytest.mark.parametrize(
    ("attempt", "required", "passes", "message"),
    [
        (works, True, True, "1.0"),
        (raises_setup_error, True, False, "apt-get install libegl1"),
        (raises_setup_error, False, True, "apt-get install libegl1"),
        (raises_import_error, True, False, "pip install"),
    ],
)
def test_a_failed_check_gives_a_remedy(monkeypatch, attempt, required, passes, message):
    monkeypatch.setattr(doctor, "CHECKS", (Check("thing", attempt, required=required),))
    findings = doctor.examine()
    assert message in findings[0].message
    assert doctor.show(findings) is passes
