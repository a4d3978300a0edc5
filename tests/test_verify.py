"""The command that holds experiments against their sources, on tiny ones."""

import csv

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from samdyn import cli, experiments
from samdyn.experiments import claims_table
from samdyn.experiments.base import Claim, Experiment

INTERRUPTED = 4


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(map(str, arguments)))
    return ended.value.code


def draw(runs):
    assert "y" in runs["line"]
    return plt.figure(figsize=(1, 1))  # empty: text would take time


class Line:
    """A tiny experiment: y = slope x, which must rise by 2 a step."""

    def __init__(self, name, slope=2.0, reason=0):
        self.name, self.slope, self.reason, self.computed = name, slope, reason, 0

    def compute(self):
        self.computed += 1
        x = np.arange(4.0)
        variables = {"y": ("x", self.slope * x), "reason": ((), self.reason)}
        return {"line": xr.Dataset(variables, {"x": x}, {"formula": f"{self.slope} x"})}

    def claims(self, runs):
        rise = float(runs["line"].y.diff("x").mean())
        return [
            Claim(f"{self.name} | rise", "2", f"{rise:g}", rise == 2.0),
            Claim("it begins at 0", "0", f"{float(runs['line'].y[0]):g}", True),
        ]

    def experiment(self, **changed):
        made = Experiment(
            *(self.name, "a line", "Euclid, Fig. 1", "A line."), self.compute, self.claims, draw
        )
        return made._replace(**changed)


@pytest.fixture
def known(monkeypatch):
    """Three experiments: a holds, b does not, c holds."""
    lines = {"a": Line("a"), "b": Line("b", slope=3.0), "c": Line("c")}
    made = {name: line.experiment() for name, line in lines.items()}
    monkeypatch.setattr(experiments, "EXPERIMENTS", made)
    return lines, made


def rows(folder):
    with (folder / "claims.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_all_hold(known, capsys):
    lines, _ = known
    assert run("verify", "a", "c", "a") == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split() == ["statement", "expected", "measured", "holds"]
    assert "a (Euclid, Fig. 1)" in out
    assert out.splitlines()[-1] == "4 of 4 claims hold"
    assert [line.computed for line in lines.values()] == [1, 0, 1]
    assert "1 of 2, a: 2 of 2 claims hold" in err
    assert "2 of 2, c: 2 of 2 claims hold" in err


def test_one_that_does_not_hold_is_shown_and_ends_with_1(known, capsys):
    assert run("verify") == 1
    out, err = capsys.readouterr()
    (row,) = (line for line in out.splitlines() if "b | rise" in line)
    assert row.split() == ["b", "|", "rise", "2", "3", "NO"]
    assert out.count(" yes") == 5
    assert out.splitlines()[-1] == "5 of 6 claims hold"
    assert "2 of 3, b: 1 of 2 claims hold" in err


def test_results_figures_and_the_table_are_kept(known, tmp_path):
    assert run("verify", "--out", tmp_path / "far" / "kept") == 1
    folder = tmp_path / "far" / "kept"
    assert {file.name for file in folder.iterdir()} == {
        *(f"{name}.{kind}" for name in "abc" for kind in ("nc", "pdf", "png")),
        *("claims.csv", "claims.md"),
    }
    kept = rows(folder)
    assert [row["experiment"] for row in kept] == list("aabbcc")
    assert [row["holds"] for row in kept] == ["yes", "yes", "NO", "yes", "yes", "yes"]
    assert {row["source"] for row in kept} == {"Euclid, Fig. 1"}
    assert kept[2]["statement"] == "b | rise"
    assert (kept[2]["expected"], kept[2]["measured"]) == ("2", "3")
    table = (folder / "claims.md").read_text(encoding="utf-8").splitlines()
    assert len(table) == 2 + 6
    assert r"| b \| rise | 2 | 3 | NO |" in table[4]


def test_the_table_of_a_folder_has_the_last_of_each_experiment(known, tmp_path):
    lines, _ = known
    assert run("verify", "--out", tmp_path) == 1
    lines["b"].slope = 2.0
    assert run("verify", "b", "--out", tmp_path) == 0
    assert [(row["experiment"], row["holds"]) for row in rows(tmp_path)] == [
        (name, "yes") for name in "aaccbb"
    ]


def test_saved_results_are_held_without_running_again(known, tmp_path, capsys):
    lines, _ = known
    assert run("verify", "a", "b", "--out", tmp_path) == 1
    fresh = capsys.readouterr().out
    assert run("verify", "--from", tmp_path) == 1
    out, err = capsys.readouterr()
    assert out == fresh
    assert [line.computed for line in lines.values()] == [1, 1, 0]
    assert f"not in {tmp_path}: c" in err
    assert run("verify", "a", "--from", tmp_path, "--out", tmp_path / "again") == 0
    assert (tmp_path / "again" / "a.png").is_file()
    assert [row["experiment"] for row in rows(tmp_path / "again")] == ["a", "a"]
    with xr.open_dataset(tmp_path / "a.nc", group="line", engine="h5netcdf") as saved:
        changed = saved.load().assign(y=saved.y * 1.5)
    xr.DataTree.from_dict({"line": changed}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    assert run("verify", "a", "--from", tmp_path) == 1  # it is the file that is judged


def test_refusals_are_one_sentence_before_anything_is_run(known, tmp_path, capsys):
    lines, _ = known
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    refused = [
        (("a", "d"), "there is no figure 'd'; did you mean"),
        (("--from", tmp_path / "none"), f"there is no folder {tmp_path}/none"),
        (("--from", tmp_path / "empty"), "empty has no results of a, b, c"),
        (("a", "--from", tmp_path / "empty"), "empty has no results of a"),
        (("a", "--out", tmp_path / "file"), "file is a file, not a folder"),
    ]
    for arguments, sentence in refused:
        assert run("verify", *arguments) == 2
        err = capsys.readouterr().err
        assert sentence in err
        assert err.count("\n") == 1
    assert not any(line.computed for line in lines.values())
    assert run("verify", "a", "--out", tmp_path) == 0
    assert run("verify", "a", "b", "--from", tmp_path) == 2
    assert f"{tmp_path} has no results of b" in capsys.readouterr().err


def test_a_file_that_holds_no_results_does_not_hold(known, tmp_path, capsys):
    (tmp_path / "a.nc").write_text("nonsense")
    assert run("verify", "--from", tmp_path) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "a.nc cannot be read as saved" in out
    assert out.endswith("0 of 1 claims hold")


def test_an_interruption_keeps_what_is_done_and_says_how_to_go_on(known, tmp_path, capsys):
    lines, _ = known
    lines["b"].reason = INTERRUPTED
    folder = tmp_path / "with space"
    assert run("verify", "--out", folder) == 130
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "2 of 2 claims hold"
    assert err.splitlines()[-1] == (
        f"samdyn: interrupted: 1 of 3 experiments done; to go on: samdyn verify b c "
        f"--out '{folder}'"
    )
    assert {file.name for file in folder.glob("*.nc")} == {"a.nc"}
    lines["b"].reason, lines["b"].slope = 0, 2.0
    assert run("verify", "b", "c", "--out", folder) == 0
    assert [row["experiment"] for row in rows(folder)] == list("aabbcc")
    lines["a"].reason = INTERRUPTED
    capsys.readouterr()
    assert run("verify") == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].endswith("0 of 3 experiments done; to go on: samdyn verify a b c")


def test_an_error_does_not_end_the_others_and_what_was_computed_is_kept(known, tmp_path, capsys):
    def broken(*_):
        raise ZeroDivisionError("by\nzero")

    _, made = known
    made["a"] = made["a"]._replace(compute=broken)
    made["b"] = made["b"]._replace(claims=broken)
    made["c"] = made["c"]._replace(claims=lambda runs: [])
    assert run("verify", "--out", tmp_path) == 1
    out = capsys.readouterr().out
    assert out.count("ZeroDivisionError: by zero") == 2
    assert "claims something" in out
    assert out.splitlines()[-1] == "0 of 3 claims hold"
    assert not (tmp_path / "a.nc").exists()
    assert (tmp_path / "b.nc").exists()


def test_a_failed_write_leaves_the_older_results(known, tmp_path, monkeypatch):
    lines, made = known
    made["a"].make(tmp_path)
    before = (tmp_path / "a.nc").read_bytes()
    lines["a"].slope = 5.0

    def full(self, path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(xr.DataTree, "to_netcdf", full)
    with pytest.raises(OSError, match="No space"):
        made["a"].make(tmp_path)
    assert (tmp_path / "a.nc").read_bytes() == before
    assert not list(tmp_path.glob("*.tmp"))


def test_long_cells_are_broken_between_words():
    long = "a statement of many words that goes on and on until no terminal can hold it"
    text = claims_table.text([("", [Claim(long, "1", "1.0", True)])])
    lines = text.splitlines()
    assert len(lines) == 3
    assert " ".join(line.split("  ")[0] for line in lines[1:]) == long
    assert lines[1].endswith("yes")
    assert max(map(len, lines)) <= 140


def test_what_needs_a_package_that_is_not_there_is_left_out(known, monkeypatch, tmp_path, capsys):
    lines, made = known
    assert run("verify", "a", "--out", tmp_path) == 0
    monkeypatch.setitem(made, "a", lines["a"].experiment(needs="no_such_package"))
    monkeypatch.delitem(made, "b")
    capsys.readouterr()
    assert run("verify") == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "2 of 2 claims hold"
    assert "a is left out: it needs no_such_package, which is not installed" in err
    assert run("verify", "--from", tmp_path) == 0  # saved results can be read all the same
    assert capsys.readouterr().out.splitlines()[-1] == "2 of 2 claims hold"
    assert run("figure", "a", "--out", tmp_path) == 2
    assert 'pip install "samdyn[no_such_package]"' in capsys.readouterr().err
