"""The picture of curves, and the comparison that carries it, whatever the jobs and their numbers are called and are."""

from __future__ import annotations

import math
import re
import sys
from typing import Any
from xml.etree import ElementTree

import pytest

from jupyter_trainlive.client import Job, NoServerError
from jupyter_trainlive.notebook import picture
from jupyter_trainlive.notebook.compare import COMPARISON_MIME, Comparison, compare
from jupyter_trainlive.notebook.picture import Line

HOSTILE = "<script>alert(1)</script> & \"' ]]> \x1b[31m\x00\n\u202eevil\u2069 \ud800 😀 \ufffe" + "x" * 10_000
LARGEST = sys.float_info.max


def bucket(step: int, value: Any, low: Any = None, high: Any = None, wide: int = 1) -> dict[str, Any]:
    return {
        **{"x0": step, "x1": step + wide, "last": value, "n": wide, "nan": 0, "inf": 0},
        "min": value if low is None else low,
        "max": value if high is None else high,
    }


def drawn(lines: list[Line], title: str = "loss") -> tuple[str, ElementTree.Element]:
    """The picture, which is well-formed, has shapes and text only, and lies within its frame."""
    text = picture.svg(title, lines)
    assert text is not None
    text.encode()
    root = ElementTree.fromstring(text)
    kinds = {element.tag.removeprefix("{http://www.w3.org/2000/svg}") for element in root.iter()}
    assert kinds <= {"svg", "title", "desc", "rect", "path", "text", "tspan", "circle"}
    names = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in names if name.startswith("on") or "href" in name or name == "style"}
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for element in root.iter():
        for name in ("d", "x", "y", "cx", "cy"):
            assert "nan" not in element.attrib.get(name, ""), element.attrib
            assert "inf" not in element.attrib.get(name, ""), element.attrib
    for path in root.iter("{http://www.w3.org/2000/svg}path"):
        for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path.attrib["d"]):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height
    return text, root


def words(root: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]


def lines_of(root: ElementTree.Element) -> list[str]:
    return [p.attrib["d"] for p in root.iter("{http://www.w3.org/2000/svg}path") if "stroke-linejoin" in p.attrib]


def circles(root: ElementTree.Element) -> int:
    return len(list(root.iter("{http://www.w3.org/2000/svg}circle")))


def test_without_a_number_there_is_no_picture() -> None:
    nothing = [bucket(1, "nan", "nan", "nan"), bucket(2, None), bucket(3, math.inf), bucket(4, "-inf"), bucket(5, "9")]
    for lines in ([], [Line("loss", [])], [Line("loss", nothing)], [Line("a", []), Line("b", nothing)]):
        assert picture.svg("title", lines) is None


def test_names_are_text_and_short_whatever_they_hold() -> None:
    text, root = drawn([Line(HOSTILE, [bucket(1, 0.5), bucket(2, 0.25)])], HOSTILE)
    assert "<script" not in text
    assert not set(text) & set("\x00\x1b\u202e\u2069\ufffe\ud800")
    title, *_ = words(root)
    assert title.startswith("<script>alert(1)</script> & \"' ]]>")
    assert len(title) <= 90
    assert max(map(len, words(root))) <= 90
    assert len(text) < 5_000


def test_one_point_is_seen_and_a_gap_is_none_of_the_line() -> None:
    _, root = drawn([Line("loss", [bucket(7, 0.5)])])
    assert (circles(root), lines_of(root)) == (1, [])
    assert "loss 0.5" in words(root)
    assert {"7"} & set(words(root)), "its step"
    gap = [bucket(1, 1.0), bucket(2, 0.9), bucket(3, "nan"), bucket(4, "inf"), bucket(5, 0.7), bucket(6, 0.6)]
    _, root = drawn([Line("loss", gap)])
    assert (circles(root), len(lines_of(root))) == (4, 2)
    _, root = drawn([Line("all of it NaN", [bucket(1, "nan")]), Line("loss", [bucket(1, 2.0), bucket(2, 1.0)])])
    assert "all of it NaN" in words(root), "and it has its place in the legend"


def test_steps_that_went_back_are_drawn_once() -> None:
    _, root = drawn([Line("loss", [*(bucket(n, 1.0) for n in range(1, 9)), bucket(4, 3.0), bucket(5, 2.0)])])
    (line,) = lines_of(root)
    assert line.count("L") == 4, "steps 1 to 3, then 4 and 5 as they were the second time"


@pytest.mark.parametrize(
    "values",
    [
        *((0.0, 0.0), (-1.0, -1.0), (5e-324, 5e-324), (0.0, 5e-324), (1.0, 1.0 + 2**-52), (-3.0, 2.0), (1e-300, 1e300)),
        *((LARGEST, LARGEST), (-LARGEST, LARGEST), (-LARGEST, -LARGEST), (LARGEST, LARGEST * (1 - 2**-53))),
    ],
)
def test_numbers_of_any_size_lie_within_the_frame(values: tuple[float, float]) -> None:
    _, root = drawn([Line("loss", [bucket(1, values[0]), bucket(2**62, values[1])])])
    assert circles(root) == 2
    assert len(words(root)) < 30, "and the axes have a few words each"


def test_a_million_points_are_no_larger_than_what_is_seen() -> None:
    """As ``Job.curves`` has them: at most as many buckets as were asked for, each with its least and greatest."""
    wide = 1_000_000 // 200
    curve = [bucket(n * wide, 1 / (n + 1), 0.5 / (n + 1), 2 / (n + 1), wide) for n in range(200)]
    text, root = drawn([Line(f"{n} {HOSTILE}", curve) for n in range(10)])
    assert len(text) < 100_000
    assert (circles(root), len(lines_of(root))) == (0, 10)
    strokes = {path.attrib["stroke"] for path in root.iter("{http://www.w3.org/2000/svg}path")}
    assert set(picture.COLORS) < strokes, "ten colours that nobody confuses"


class Known(Job):
    """A job as a server might tell of it."""

    def __init__(self, job_id: str, name: str, info: dict[str, Any], losses: list[dict[str, Any]]) -> None:
        super().__init__(job_id, name)
        self._info, self._losses = info, losses

    def info(self) -> dict[str, Any]:
        return self._info

    def curves(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"loss": {"n": len(self._losses), "buckets": self._losses}}


class Gone(Job):
    """A job whose server is not there any more."""

    def info(self) -> dict[str, Any]:
        raise NoServerError("No server:\n\x1b[2J answers")

    def curves(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise NoServerError("No server answers")


def test_a_comparison_is_a_table_a_picture_and_what_a_page_shows_live() -> None:
    info = {"status": "running", "current_step": 2, "loss": 0.25, "eval_loss": None}
    one = Known("job_000000000001", HOSTILE, info, [bucket(1, 0.5), bucket(2, 0.25)])
    empty = Known("job_000000000002", "", {"status": "queued"}, [])
    nan = Known("job_000000000003", "nan", {"status": "running", "loss": "nan"}, [bucket(1, "nan", "nan", "nan")])
    shown = compare(one, [empty, nan], one, Gone("job_000000000004", "gone"))
    data = shown._repr_mimebundle_()
    assert [job["job_id"] for job in data[COMPARISON_MIME]["jobs"]] == [f"job_00000000000{n}" for n in range(1, 5)]
    head, *rows = data["text/plain"].splitlines()
    assert head.split() == ["job", "name", "status", "current", "step", "loss", "eval", "loss"]
    assert len(rows) == 4, "a name holds no line of its own"
    assert rows[0].split()[-4:] == ["running", "2", "0.25", "–"]
    assert all(character.isprintable() or character == "\n" for character in data["text/plain"])
    assert max(map(len, rows)) < 200
    legend = words(ElementTree.fromstring(data["image/svg+xml"]))
    assert {"nan", "gone", "job_000000000002"} <= set(legend), "each has its colour, with curve or without"
    assert "image/svg+xml" not in Comparison([empty, nan])._repr_mimebundle_()


def test_a_comparison_is_of_one_to_ten_jobs() -> None:
    jobs = [Gone(f"job_0000000000{n:02}") for n in range(11)]
    assert len(compare(jobs[:10]).jobs) == 10
    for wrong in ([], jobs):
        with pytest.raises(ValueError, match=rf"takes 1 to 10 jobs, and was given {len(wrong)}"):
            compare(wrong)
