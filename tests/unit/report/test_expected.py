"""The reports for browsers and for continuous integration, compared with files; --update-golden writes them anew."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

import sample
from vmdev.replay.report import Outcome, html, junit

EXPECTED = Path(__file__).parent / "expected"
OUTCOME = Outcome("sample.db", sample.verdict())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("verdict.html", html.render(sample.verdict(), sample.activity())),
        ("junit.xml", junit.render([OUTCOME])),
    ],
)
def test_report_is_as_expected(name: str, text: str, request: pytest.FixtureRequest) -> None:
    path = EXPECTED / name
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_junit_has_a_case_for_each_device_and_counts_that_add_up() -> None:
    suites = Xml.fromstring(junit.render([OUTCOME, OUTCOME]))
    assert [suites.get(count) for count in ("tests", "failures", "errors", "skipped")] == ["10", "4", "2", "2"]
    cases = {case.get("name"): case for case in suites[0].iter("testcase")}
    assert list(cases) == ["rtc", "com1", "pit", "pic", "known divergences"]
    outcome = {name: [child.tag for child in case if child.tag != "properties"] for name, case in cases.items()}
    assert outcome == {"rtc": ["failure"], "com1": [], "pit": ["error"], "pic": ["skipped"]} | {
        "known divergences": ["failure"]
    }


def test_junit_failure_names_the_first_root_and_shows_it() -> None:
    suites = Xml.fromstring(junit.render([OUTCOME]))
    failure, _ = suites.iter("failure")
    assert failure.get("type") == "time"
    assert failure.get("message") == "2 root divergences, the first in rtc.Register A at exit 40"
    assert "hw=0xa6 model=0x24" in (failure.text or "")
    assert "UIP" in (failure.text or "")


def test_junit_has_an_error_for_a_trace_that_could_not_be_replayed() -> None:
    suites = Xml.fromstring(junit.render([OUTCOME, Outcome("lost.db", None, "lost.db: no such file")]))
    assert (suites[1].get("name"), suites[1].get("errors"), suites.get("errors")) == ("lost.db", "1", "2")
    (error,) = suites[1].iter("error")
    assert error.get("message") == "lost.db: no such file"


def test_html_shows_no_more_than_asked_for_roots_first() -> None:
    page = html.render(sample.verdict(), sample.activity(), 3)
    assert page.count("<article") == 3
    assert 'class="consequence" tabindex' not in page
    assert "Register A (UIP)" in page, "but all consequences are counted"


def test_html_obeys_nothing_that_a_trace_says() -> None:
    page = html.render(sample.verdict(), sample.activity())
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;alert" in page


def test_html_asks_for_nothing() -> None:
    page = html.render(sample.verdict(), sample.activity())
    assert "default-src 'none'" in page
    assert not re.search(r"""<[^>]*(src|href)\s*=\s*["']?(?!["']?#|["']?data:)""", page)
    assert "url(" not in page
