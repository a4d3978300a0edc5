import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import samdyn as sd
from samdyn.ensembles.result import Gathered

SADDLE = sd.Loss("x**2/2 - y**2/2 + y**4/4")
SYSTEM = sd.Map(SADDLE, sd.SAM(lr=0.05, rho=[0.0, 0.1]))
POINTS = sd.ball(300, center=(0.0, 0.0), radius=0.5, seed=0)
OPTIONS = {
    "steps": 200,
    "record": 50,
    "until": sd.Escape("y > 0.8"),
    "statistics": {"r2": "x**2 + y**2"},
    "progress": False,
}


@pytest.fixture(scope="module")
def reference():
    return sd.simulate(SYSTEM, POINTS, threads=1, chunk=10_000, **OPTIONS)


def same(a, b):
    for name in a.data_vars:
        np.testing.assert_array_equal(a[name], b[name], err_msg=str(name))


@pytest.mark.parametrize("chunk", [1, 63, 64, 65, 600])
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads_and_chunks_change_no_bit(reference, chunk, threads):
    same(sd.simulate(SYSTEM, POINTS, threads=threads, chunk=chunk, **OPTIONS), reference)


def test_a_given_thread_pool(reference):
    with ThreadPoolExecutor(3) as pool:
        same(sd.simulate(SYSTEM, POINTS, executor=pool, **OPTIONS), reference)


def test_a_process_pool(reference):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        same(sd.simulate(SYSTEM, POINTS, executor=pool, chunk=200, **OPTIONS), reference)


def test_an_error_in_a_chunk_reaches_the_caller(monkeypatch):
    def fail(source):
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the kernel is gone")
        return load(source)

    from samdyn.readings import kernels

    load = kernels.load
    monkeypatch.setattr(kernels, "load", fail)
    with pytest.raises(RuntimeError, match="the kernel is gone"):
        sd.simulate(SYSTEM, POINTS, **OPTIONS)


def interrupt_after(seconds):
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def test_ctrl_c_returns_what_is_finished(monkeypatch):
    sd.simulate(SYSTEM, POINTS, 1)
    points = sd.ball(50_000, center=(0.0, 0.0), radius=0.5, seed=0)
    put, finished = Gathered.put, []

    def putting(self, first, last, outcome):
        finished.append(first)
        if len(finished) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        put(self, first, last, outcome)

    monkeypatch.setattr(Gathered, "put", putting)
    with pytest.warns(UserWarning, match=r"interrupted: \d+ of 100000 particles finished"):
        run = sd.simulate(SYSTEM, points, 200_000, chunk=256, threads=2, progress=False)
    monkeypatch.undo()
    done = run.reason.values != 4
    assert 0 < done.sum() < done.size
    # what is finished is right
    some = np.argwhere(done[0])[:3, 0]
    again = sd.simulate(sd.Map(SADDLE, sd.SAM(lr=0.05, rho=0.0)), points[some], 200_000)
    np.testing.assert_array_equal(run.final.values[0][some], again.final)


def test_ctrl_c_stops_a_single_long_run_where_it_is():
    system = sd.Map(SADDLE, sd.SAM(lr=0.05, rho=0.1))
    sd.simulate(system, [0.3, 0.2], 1)
    timer = interrupt_after(0.5)
    with pytest.warns(UserWarning, match="interrupted: 0 of 1"):
        run = sd.simulate(system, [0.3, 0.2], 10**10, record=[0, 10**10], progress=False)
    timer.join()
    assert run.reason == 4
    assert 0 < run.steps < 10**10
    assert np.isnan(run.w.sel(time=10**10)).all()
    reached = sd.simulate(system, [0.3, 0.2], int(run.steps))
    np.testing.assert_array_equal(run.final, reached.final)


def test_a_store_takes_up_where_an_interrupted_run_stopped(tmp_path, reference, monkeypatch):
    from samdyn.ensembles import chunk as chunks

    calls = []

    def counted(chunk, watch, part):
        calls.append(chunk.w.shape[1])
        if len(calls) == 4:
            raise KeyboardInterrupt
        return run(chunk, watch, part)

    run = chunks._run
    monkeypatch.setattr(chunks, "_run", counted)
    with pytest.warns(UserWarning, match="interrupted"):
        sd.simulate(SYSTEM, POINTS, chunk=64, threads=1, store=tmp_path, **OPTIONS)
    kept = len([path for path in tmp_path.glob("*.npz") if ".part." not in path.name])
    assert kept >= 3
    calls[:] = [0] * 10
    same(sd.simulate(SYSTEM, POINTS, chunk=64, threads=2, store=tmp_path, **OPTIONS), reference)
    assert len(calls) - 10 == 10 - kept
    calls.clear()
    same(sd.simulate(SYSTEM, POINTS, chunk=64, store=tmp_path, **OPTIONS), reference)
    assert not calls


def stop_after(monkeypatch, slices):
    """A watch that stops a chunk after so many slices, of a few hundred steps each."""
    from samdyn.ensembles import chunk as chunks

    class Stopping(chunks.Watch):
        count = 0

        def add(self, steps):
            super().add(steps)
            self.count += 1
            if self.count == slices:
                self.stopped.set()

    monkeypatch.setattr(chunks, "_SLICE", 0.0)
    monkeypatch.setattr(chunks, "_STRIDE", 64)
    return Stopping()


@pytest.mark.parametrize("slices", [1, 9, 17, 18, 19, 22])
def test_a_chunk_goes_on_where_it_was_stopped(slices, tmp_path, monkeypatch):
    """Also through a switch, between records, and with sums under way."""
    from samdyn.ensembles.chunk import run
    from samdyn.ensembles.plan import make_plan

    phases = [(0, sd.GD(lr=0.05, momentum=0.5)), (1100, sd.SAM(lr=0.05, rho=0.1, momentum=0.5))]
    system = sd.Map(SADDLE, sd.Switch(phases))
    plan = make_plan(system, POINTS, 1400, 7, OPTIONS["until"], {"q": "x*y"}, 3, True, 300)
    ((_, _, chunk),) = plan.chunks()
    whole = run(chunk)
    stopped = run(chunk, stop_after(monkeypatch, slices), tmp_path)
    assert not stopped.finished
    assert len(list(tmp_path.glob("*.part.npz"))) == 1
    resumed = run(chunk, None, tmp_path)
    assert resumed.finished
    for name, value in whole._asdict().items():
        np.testing.assert_array_equal(getattr(resumed, name), value, err_msg=name)
    assert [path.name for path in tmp_path.iterdir()] == [f"{chunk.key}.npz"]


def test_a_chunk_stopped_before_its_last_look_is_not_finished(tmp_path, monkeypatch):
    from samdyn.ensembles.chunk import run
    from samdyn.ensembles.plan import make_plan

    # the first slice ends at the last step, with the last look to come
    plan = make_plan(SYSTEM, POINTS, 64, [0, 64], (), {}, 0, False, 600)
    ((_, _, chunk),) = plan.chunks()
    stopped = run(chunk, stop_after(monkeypatch, 1), tmp_path)
    assert not stopped.finished
    assert np.isnan(stopped.record[-1]).all()
    resumed = run(chunk, None, tmp_path)
    assert resumed.finished
    np.testing.assert_array_equal(resumed.record[-1], run(chunk).z)


def test_equal_requests_share_a_store_however_they_are_written(tmp_path):
    variants = [
        sd.Loss("x**2/2 - y**2/2"),
        sd.Loss("x**2/2-y**2/2", variables="x y"),
        sd.Loss("".join(["x**2/2", " - y**2/2"]), variables=["".join(["x"]), "y"]),
    ]
    for loss in variants:
        sd.simulate(sd.Map(loss, sd.GD(lr=0.1)), [0.1, 0.1], 50, store=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_records_of_one_particle_take_no_more_than_they_are():
    import tracemalloc

    system = sd.Map(SADDLE, sd.GD(lr=0.05))
    sd.simulate(system, [0.3, 0.01], 10, record=1)
    tracemalloc.start()
    run = sd.simulate(system, [0.3, 0.01], 200_000, record=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80e6  # the result takes 6.4 MB; 64 lanes of it would take 400
    np.testing.assert_array_equal(run.w[1_011], system.apply([0.3, 0.01], 1_011))


def test_a_damaged_store_is_run_again(tmp_path, reference):
    sd.simulate(SYSTEM, POINTS, store=tmp_path, **OPTIONS)
    for path in tmp_path.glob("*.npz"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match="cannot be read"):
        same(sd.simulate(SYSTEM, POINTS, store=tmp_path, **OPTIONS), reference)


def test_memory_does_not_grow_with_the_steps():
    import psutil

    process = psutil.Process(os.getpid())
    system = sd.Map(SADDLE, sd.SAM(lr=0.05, rho=0.1))
    points = sd.ball(20_000, center=(0.0, 0.0), radius=0.5, seed=0)
    sd.simulate(system, points, 10)
    before = process.memory_info().rss
    sd.simulate(system, points, 2_000)
    # a stored trajectory would take 640 MB
    assert process.memory_info().rss - before < 50e6


def test_a_progress_bar_shows_on_long_runs_only(capsys, monkeypatch):
    from samdyn.ensembles import execute

    sd.simulate(SYSTEM, POINTS, 10)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(execute, "_DELAY", 0.0)
    sd.simulate(SYSTEM, POINTS, 10)
    assert "particle-steps" in capsys.readouterr().err
