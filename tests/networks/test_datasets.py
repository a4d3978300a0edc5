import io
import pickle
import struct
import sys
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from samdyn.networks import data, models  # noqa: E402
from samdyn.networks.data.augment import crop_and_flip  # noqa: E402
from samdyn.networks.problem import Problem, Samples  # noqa: E402
from samdyn.networks.seeds import derived_seed  # noqa: E402


def half(outputs, targets):
    """Half the squared error: the loss of the paper on diagonal linear networks."""
    return 0.5 * ((outputs - targets) ** 2).sum(dim=1)


# --- digits and label noise -------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    pytest.importorskip("sklearn")
    return data.digits()


def test_digits_are_split_once_and_for_all(digits):
    assert digits.train.inputs.shape == (1257, 64)
    assert digits.test.inputs.shape == (540, 64)
    assert (digits.name, digits.classes) == ("digits", 10)
    assert digits.train.inputs.dtype == torch.float32
    assert digits.train.targets.dtype == torch.int64
    # pinned: another split would make results with other versions incomparable
    assert digits.train.targets[:12].tolist() == [6, 4, 4, 3, 2, 7, 2, 2, 7, 0, 2, 1]
    assert (16 * digits.train.inputs).sum() == 393300
    assert data.digits(seed=9).train.targets.equal(digits.train.targets)


def test_digits_are_all_there_and_in_proportion(digits):
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    together = np.concatenate([digits.train.inputs.numpy(), digits.test.inputs.numpy()])
    assert (together.min(), together.max()) == (0, 1)
    rows = [
        sorted(map(tuple, np.column_stack([x, y])))
        for x, y in (
            (pixels, labels),
            (16 * together, np.concatenate([digits.train.targets, digits.test.targets])),
        )
    ]
    assert rows[0] == rows[1]
    share = np.bincount(digits.test.targets) / np.bincount(labels)
    assert share == pytest.approx(540 / 1797, abs=0.004)


def test_digits_are_images_for_a_convolutional_network(digits):
    images = data.digits(image=True, dtype=torch.float64)
    assert images.train.inputs.shape == (1257, 1, 8, 8)
    assert images.train.inputs.dtype == torch.float64
    assert torch.equal(images.test.inputs.reshape(540, 64), digits.test.inputs.double())
    assert models.cnn().double()(images.test.inputs).shape == (540, 10)


def test_without_scikit_learn_it_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r'pip install "samdyn\[torch\]"'):
        data.digits()


def test_a_linear_classifier_learns_digits(digits):
    """Pixels and labels belong together: least squares, in closed form, is right on 9 of 10."""
    x, y = digits.train.inputs.numpy(), np.eye(10)[digits.train.targets]
    solution = np.linalg.lstsq(x, y, rcond=None)[0]
    guessed = (digits.test.inputs.numpy() @ solution).argmax(axis=1)
    assert (guessed == digits.test.targets.numpy()).mean() > 0.9


def test_label_noise_draws_a_share_anew():
    labels = torch.arange(4).repeat(2500)
    clean = data.Data(Samples(labels[:, None].double(), labels), Samples(labels, labels), "x", 4)
    noisy = data.with_label_noise(clean, 0.3, seed=1)
    wrong = noisy.train.targets != labels
    assert int(wrong.sum()) == pytest.approx(10_000 * 0.3 * 3 / 4, abs=4 * 24)
    assert torch.equal(noisy.test.targets, labels)
    assert torch.equal(clean.train.targets, labels)  # not changed in place
    everything = data.with_label_noise(clean, 1.0, seed=1).train.targets
    table = np.zeros((4, 4))
    np.add.at(table, (labels.numpy(), everything.numpy()), 1)
    assert table == pytest.approx(625, abs=5 * 22)  # uniform, whatever the right one is
    more = data.with_label_noise(clean, 0.5, seed=1).train.targets
    assert torch.equal(more[wrong], noisy.train.targets[wrong])
    assert data.with_label_noise(clean, 0.0).train.targets.equal(labels)
    other = data.with_label_noise(clean, 0.3, seed=2).train.targets
    assert not torch.equal(other, noisy.train.targets)


def test_label_noise_counts_exactly():
    """With very many classes nearly every label drawn anew is another one."""
    labels = torch.zeros(1000, dtype=torch.long)
    clean = data.Data(Samples(labels, labels), Samples(labels, labels), "x", classes=10**9)
    assert int((data.with_label_noise(clean, 0.1234).train.targets != 0).sum()) == 123


def test_noisy_digits_are_the_same_digits(digits):
    noisy = data.digits(label_noise=0.4, seed=3)
    assert torch.equal(noisy.train.inputs, digits.train.inputs)
    assert torch.equal(noisy.test.targets, digits.test.targets)
    wrong = (noisy.train.targets != digits.train.targets).float().mean()
    assert wrong == pytest.approx(0.36, abs=0.04)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_of_label_noise_is_from_0_to_1(share):
    task = data.diagonal_linear()._replace(classes=2)
    with pytest.raises(ValueError, match="label_noise must be"):
        data.with_label_noise(task, share)


def test_regression_has_no_label_noise():
    with pytest.raises(ValueError, match="must have classes .* diagonal_linear has none"):
        data.with_label_noise(data.diagonal_linear(), 0.1)


def test_data_move_to_another_precision():
    task = data.teacher_student(samples=5, test=4)
    double = task.to("cpu", torch.float64)
    assert {t.dtype for part in (double.train, double.test) for t in part} == {torch.float64}
    assert task.train.inputs.dtype == torch.float32
    assert task.to("meta").test.inputs.device.type == "meta"
    with pytest.raises(ValueError, match="dtype must be a floating-point type, got torch.int64"):
        task.to(dtype=torch.int64)


# --- generated tasks --------------------------------------------------------------------------


def test_the_teacher_labels_normal_inputs():
    task = data.teacher_student(inputs=4, hidden=3, samples=5000, outputs=2, dtype=torch.float64)
    assert task.classes is None
    assert task.train.inputs.numpy().mean(axis=0) == pytest.approx(0, abs=0.06)
    assert np.cov(task.train.inputs.numpy().T) == pytest.approx(np.eye(4), abs=0.1)
    wise = data.teacher(inputs=4, hidden=3, outputs=2)
    for part in (task.train, task.test):
        assert float(Problem(wise, part, "mse").value(Problem(wise, part, "mse").start())) == 0
    (_, first, _, last) = wise
    a, b, c, d = (p.detach().numpy() for layer in (first, last) for p in layer.parameters())
    x = task.test.inputs.numpy()
    expected = np.maximum(x @ a.T + b, 0) @ c.T + d
    np.testing.assert_allclose(task.test.targets, expected, rtol=1e-10, atol=1e-12)


def test_noise_is_on_the_training_targets_alone():
    clean, noisy = (data.teacher_student(noise=noise, dtype=torch.float64) for noise in (0, 0.5))
    assert torch.equal(clean.train.inputs, noisy.train.inputs)
    assert torch.equal(clean.test.targets, noisy.test.targets)
    error = noisy.train.targets - clean.train.targets
    assert error.std() == pytest.approx(0.5, rel=0.1)


def test_a_student_of_the_same_seed_is_not_the_teacher():
    student = models.initialised(models.mlp(20, 5, 1).double(), seed=0)
    assert not torch.equal(student[1].weight, data.teacher(seed=0)[1].weight)
    assert derived_seed(0, "teacher") != derived_seed(0, "label noise")
    assert not torch.equal(data.teacher(seed=1)[1].weight, data.teacher(seed=0)[1].weight)


def test_diagonal_linear_has_the_data_of_the_papers_code():
    """The recipe of Andriushchenko and Flammarion, written out."""
    random = np.random.RandomState(0)
    x = random.multivariate_normal(np.zeros(30), np.eye(30), 20)
    unseen = random.multivariate_normal(np.zeros(30), np.eye(30), 1000)
    theta = random.randn(30)
    theta[3:] = 0
    theta = np.abs(theta) / np.linalg.norm(theta)
    task = data.diagonal_linear(dtype=torch.float64)
    np.testing.assert_allclose(task.train.inputs, x, rtol=1e-13)
    np.testing.assert_allclose(task.test.inputs, unseen, rtol=1e-13)
    np.testing.assert_allclose(task.train.targets[:, 0], x @ theta, rtol=1e-12)
    np.testing.assert_allclose(task.test.targets[:, 0], unseen @ theta, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(
    ("rho", "published"),
    [(0.0, 0.015056044189449159), (0.1, 0.01598195225147282), (1.0, 0.03606494489010675)],
)
def test_diagonal_linear_ends_at_the_test_losses_that_the_papers_code_prints(rho, published):
    """GD and un-normalised SAM, learning rate 1/6, 10,001 steps from u = 0.1, v = 0."""
    task = data.diagonal_linear(dtype=torch.float64)
    model = models.initialised(models.diagonal_linear().double(), seed=0)
    problem = Problem(model, task.train, half)
    x, y = task.train.inputs.numpy(), task.train.targets.numpy()[:, 0]

    def grad(w):
        u, v = w[:30], w[30:]
        pull = x.T @ (x @ (u * v) - y) / 20
        return np.concatenate([pull * v, pull * u])

    w = problem.start().numpy()
    for step in range(10_001):
        if step % 2500 == 3:
            np.testing.assert_allclose(
                problem.grad(torch.from_numpy(w)), grad(w), rtol=1e-9, atol=1e-15
            )
        w = w - grad(w + rho * grad(w)) / 6
    ended = Problem(model, task.test, half).value(torch.from_numpy(w))
    assert float(ended) == pytest.approx(published, rel=1e-12)


def test_matrix_factorization_is_the_frobenius_norm():
    task = data.matrix_factorization(5, 4, rank=2, samples=31, seed=2, dtype=torch.float64)
    x, y = (part.numpy() for part in task.train)
    np.testing.assert_allclose(x.T @ x, 31 * np.eye(4), atol=1e-12)
    matrix = np.linalg.lstsq(x, y, rcond=None)[0].T
    np.testing.assert_allclose(np.linalg.svd(matrix)[1], [1, 0.5, 0, 0], atol=1e-12)
    model = models.initialised(models.matrix_factorization(5, 4, 3, scale=1.0).double(), 0)
    left, right = (p.detach().numpy() for p in model.parameters())
    expected = np.linalg.norm(left @ right.T - matrix) ** 2
    for part in (task.train, task.test):
        problem = Problem(model, part, "mse", chunk=8)
        assert float(problem.value(problem.start())) == pytest.approx(expected, rel=1e-12)


def test_matrix_factorization_has_its_saddle_at_the_origin():
    task = data.matrix_factorization(
        3, 3, rank=2, samples=12, singular_values=[2.0, 0.7], dtype=torch.float64
    )
    problem = Problem(models.matrix_factorization(3, 3, 2).double(), task.train, "mse")
    origin = torch.zeros(problem.dimension, dtype=torch.float64)
    assert problem.grad(origin).abs().max() < 1e-14
    rows = [problem.hvp(origin, axis) for axis in torch.eye(12, dtype=torch.float64)]
    found = np.linalg.eigvalsh(torch.stack(rows).numpy())
    expected = sorted([4, 4, -4, -4, 1.4, 1.4, -1.4, -1.4, 0, 0, 0, 0])
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_generated_tasks_come_from_the_seed_alone():
    before = torch.random.get_rng_state()
    for make in (data.teacher_student, data.matrix_factorization, data.diagonal_linear):
        first, again, other = make(seed=1), make(seed=1), make(seed=2)
        assert torch.equal(first.train.targets, again.train.targets)
        assert not torch.equal(first.train.targets, other.train.targets)
        assert first.train.inputs.dtype == torch.float32
        assert first.name == make.__name__
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: data.teacher_student(noise=-1), "noise must be at least 0"),
        (lambda: data.teacher_student(samples=0), "samples must be a whole number >= 1"),
        (lambda: data.matrix_factorization(3, 5, rank=4), "rank must be at most .* 4 for 3x5"),
        (lambda: data.matrix_factorization(samples=9), "samples must be a whole number >= 10"),
        (lambda: data.matrix_factorization(singular_values=[1]), "singular_values must be 3"),
        (
            lambda: data.matrix_factorization(rank=1, singular_values=[-1]),
            "singular_values must be above 0",
        ),
        (lambda: data.diagonal_linear(d=2), "sparsity must be at most d = 2, got 3"),
        (lambda: data.diagonal_linear(seed=-1), "seed must be a whole number >= 0"),
    ],
)
def test_tasks_that_make_no_sense_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


# --- CIFAR, from archives as Python 2 pickled the published ones --------------------------------


def python2(value):
    """What Python 2 wrote for an int, a list, a dict, a string or an array of bytes."""
    if isinstance(value, bytes):
        return b"T" + struct.pack("<i", len(value)) + value
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(python2, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(python2(part) for item in value.items() for part in item) + b"u"
    shape = b"".join(map(python2, value.shape)) + b"\x86"
    by_columns = not value.flags.c_contiguous
    raw = value.tobytes(order="F" if by_columns else "C")
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + shape
        + b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        + b"K\x00tb"
        + (b"\x88" if by_columns else b"\x89")
        + python2(raw)
        + b"tb"
    )


def pickled(value):
    return b"\x80\x02" + python2(value) + b"."


def batch(seed, n=7, classes=10, key=b"labels", by_columns=False):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (n, 3072), dtype=np.uint8)
    labels = random.integers(0, classes, n).tolist()
    stored = np.asfortranarray(images) if by_columns else images
    return images, labels, {b"batch_label": b"a batch", key: labels, b"data": stored}


@pytest.fixture
def folder(tmp_path):
    inner = tmp_path / "cifar-10-batches-py"
    inner.mkdir()
    for k, name in enumerate([*(f"data_batch_{j}" for j in range(1, 6)), "test_batch"]):
        (inner / name).write_bytes(pickled(batch(k)[2]))
    (inner / "batches.meta").write_bytes(pickled({b"label_names": [b"cat"]}))
    return tmp_path


def packed(folder, name="cifar-10-python.tar.gz"):
    place = folder / "archives"
    place.mkdir()
    with tarfile.open(place / name, "w:gz") as archive:
        for inner in folder.glob("cifar-*"):
            archive.add(inner, inner.name)
    return place


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*MD5")
        yield


@pytest.mark.usefixtures("quiet")
def test_cifar10_reads_what_was_stored(folder):
    read = data.cifar10(folder, normalise=False, dtype=torch.float64)
    assert (read.name, read.classes) == ("cifar10", 10)
    images = np.concatenate([batch(k)[0] for k in range(5)]).reshape(35, 3, 32, 32)
    labels = [label for k in range(5) for label in batch(k)[1]]
    np.testing.assert_array_equal(read.train.inputs, images / 255)
    assert read.train.targets.tolist() == labels
    np.testing.assert_array_equal(
        read.test.inputs, batch(5)[0].reshape(7, 3, 32, 32) / 255, strict=True
    )
    assert read.test.targets.tolist() == batch(5)[1]
    assert read.test.targets.dtype == torch.int64


@pytest.mark.usefixtures("quiet")
def test_cifar10_is_found_packed_or_unpacked(folder):
    place = packed(folder)
    expected = data.cifar10(folder)
    for path in (
        str(folder / "cifar-10-batches-py"),
        place,
        place / "cifar-10-python.tar.gz",
    ):
        read = data.cifar10(path)
        assert torch.equal(read.train.inputs, expected.train.inputs)
        assert torch.equal(read.test.targets, expected.test.targets)
    assert [p.name for p in place.iterdir()] == ["cifar-10-python.tar.gz"]  # never unpacked


@pytest.mark.usefixtures("quiet")
def test_colours_are_normalised_by_the_training_pixels(folder):
    read, raw = data.cifar10(folder), data.cifar10(folder, normalise=False, dtype=torch.float64)
    mean, spread = (
        getattr(raw.train.inputs.numpy(), what)(axis=(0, 2, 3), keepdims=True)
        for what in ("mean", "std")
    )
    for part, plain in ((read.train, raw.train), (read.test, raw.test)):
        expected = (plain.inputs.numpy() - mean) / spread
        np.testing.assert_allclose(part.inputs, expected, atol=1e-6)


@pytest.mark.usefixtures("quiet")
def test_cifar_takes_label_noise(folder):
    clean, noisy = data.cifar10(folder), data.cifar10(folder, label_noise=1.0, seed=1)
    assert torch.equal(noisy.train.targets, data.with_label_noise(clean, 1.0, seed=1).train.targets)
    assert not torch.equal(noisy.train.targets, clean.train.targets)


@pytest.mark.usefixtures("quiet")
def test_cifar100_has_fine_labels(tmp_path):
    inner = tmp_path / "cifar-100-python"
    inner.mkdir()
    stored = {}
    for k, name in enumerate(["train", "test"]):
        images, labels, content = batch(k, 20, 100, b"fine_labels", by_columns=k == 0)
        content[b"coarse_labels"] = [0] * 20
        (inner / name).write_bytes(pickled(content))
        stored[name] = images, labels
    for path in (tmp_path, packed(tmp_path, "cifar-100-python.tar.gz")):
        read = data.cifar100(path, normalise=False, dtype=torch.float64)
        assert (read.name, read.classes) == ("cifar100", 100)
        for name, part in (("train", read.train), ("test", read.test)):
            np.testing.assert_array_equal(part.inputs, stored[name][0].reshape(20, 3, 32, 32) / 255)
            assert part.targets.tolist() == stored[name][1]


def test_what_python_3_pickled_for_python_2_is_read_too(folder, quiet):
    images, labels, content = batch(0)
    place = folder / "cifar-10-batches-py" / "data_batch_1"
    place.write_bytes(pickle.dumps(content, protocol=2))
    read = data.cifar10(folder, normalise=False, dtype=torch.float64)
    np.testing.assert_array_equal(read.train.inputs[:7], images.reshape(7, 3, 32, 32) / 255)
    assert read.train.targets[:7].tolist() == labels


def test_files_other_than_the_published_ones_are_warned_of(folder):
    with pytest.warns(UserWarning, match="data_batch_1, .*test_batch at .*other MD5") as caught:
        data.cifar10(folder)
    assert caught[0].filename == __file__


def test_the_published_files_are_read_in_silence(folder, monkeypatch):
    from samdyn.networks.data import cifar

    class Published:
        """Answers with the next published checksum."""

        left = iter([*cifar._CIFAR10.train.values(), *cifar._CIFAR10.test.values()])

        def __init__(self, content, usedforsecurity):
            pass

        def hexdigest(self):
            return next(self.left)

    monkeypatch.setattr(cifar, "md5", Published)
    data.cifar10(folder)  # warnings are errors


def test_a_missing_archive_is_asked_for(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError) as caught:
            data.cifar10(path)
        assert str(caught.value) == (
            "path must be cifar-10-python.tar.gz, its unpacked folder cifar-10-batches-py or the "
            f"folder that holds one of them, and {path} is none; samdyn downloads nothing: get "
            "the archive from https://www.cs.toronto.edu/~kriz/cifar.html and put it there"
        )
    with pytest.raises(FileNotFoundError, match="path must be cifar-100-python.tar.gz"):
        data.cifar100(tmp_path)


def test_a_missing_batch_is_named(folder):
    (folder / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(FileNotFoundError, match="must have cifar-10-batches-py/data_batch_3"):
        data.cifar10(folder)


def test_a_pickle_that_would_run_something_is_refused_and_not_run(folder, tmp_path):
    trace = tmp_path / "trace"

    class Bad:
        def __reduce__(self):
            return Path.touch, (trace,)

    evil = [
        pickle.dumps({b"data": Bad()}, protocol=2),
        b"cos\nsystem\n(S'touch " + str(trace).encode() + b"'\ntR.",
        b"\x80\x02cbuiltins\neval\nU\x011\x85R.",
        b"\x80\x02cnumpy\nload\n.",
        b"\x80\x02\x82\x01.",  # by a number of the extension registry
        b"Pname\n.",  # a persistent id
    ]
    for content in evil:
        (folder / "cifar-10-batches-py" / "data_batch_1").write_bytes(content)
        with pytest.raises(ValueError, match="data_batch_1 is no file of cifar-10-python.tar.gz"):
            data.cifar10(folder)
    assert not trace.exists()
    assert pickle.loads(evil[0])  # as an ordinary unpickler does
    assert trace.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (pickled(batch(0)[2])[:-200], "no file of cifar-10-python.tar.gz: pickle data was trunc"),
        (b"", "no file of .*: Ran out of input"),
        (b"<html>", "no file of"),
        (pickled([1]), "it holds a list, not a dict"),
        (pickled({b"labels": [1]}), "it has no b'data'"),
        (pickled({b"data": batch(0)[0]}), "it has no b'labels'"),
        (pickled({**batch(0)[2], b"labels": [1, 2]}), r"data of shape \(7, 3, 32, 32\) and 2"),
        (pickled({**batch(0)[2], b"labels": [10] * 7}), "labels from 0 to 9, it has 10"),
        (pickled({**batch(0)[2], b"labels": [-1] * 7}), "labels from 0 to 9, it has -1"),
        (pickled({b"data": [0] * 3072, b"labels": [1]}), "it has data of shape"),
        (pickled({b"data": batch(0)[0][:, :9], b"labels": [1]}), "cannot reshape"),
        (pickled(batch(0)[2]).replace(b"u1K", b"O8K"), "an array of b'O8', not of bytes"),
    ],
)
def test_a_broken_file_is_named(folder, content, sentence):
    (folder / "cifar-10-batches-py" / "data_batch_1").write_bytes(content)
    with pytest.raises(ValueError, match=f"data_batch_1.*{sentence}"):
        data.cifar10(folder)


def test_a_broken_archive_is_named(folder, quiet):
    place = packed(folder) / "cifar-10-python.tar.gz"
    whole = place.read_bytes()
    for broken in (whole[: len(whole) // 2], b"<html>not found</html>", b""):
        place.write_bytes(broken)
        with pytest.raises(ValueError, match=r"cifar-10-python.tar.gz can't be read as"):
            data.cifar10(place)
    with tarfile.open(place, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("readme"), io.BytesIO())
    with pytest.raises(FileNotFoundError, match="must have cifar-10-batches-py/data_batch_1"):
        data.cifar10(place)


# --- augmentation -----------------------------------------------------------------------------


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_every_image_is_a_crop_of_the_padded_one_flipped_or_not():
    images = torch.rand(400, 2, 5, 6, generator=seeded(1)) + 1
    changed = crop_and_flip(padding=2, fill=(0.25, -0.5))(images, seeded())
    padded = np.empty((400, 2, 9, 10), np.float32)
    padded[:, 0], padded[:, 1] = 0.25, -0.5
    padded[:, :, 2:7, 2:8] = images
    seen = np.zeros((2, 5, 5))
    for whole, out in zip(padded, changed.numpy(), strict=True):
        fits = [
            (flip, top, left)
            for flip in range(2)
            for top in range(5)
            for left in range(5)
            if np.array_equal(
                whole[:, top : top + 5, left : left + 6][:, :, :: -1 if flip else 1], out
            )
        ]
        assert len(fits) == 1
        seen[fits[0]] += 1
    assert seen.sum() == 400
    assert seen[1].sum() == pytest.approx(200, abs=4 * 10)
    assert (seen.sum(axis=(0, 2)).min(), seen.sum(axis=(0, 1)).min()) > (50, 50)  # of 80
    assert ((seen - 8) ** 2 / 8).sum() < 85  # chi-squared, 49 degrees of freedom: p = 0.001


def test_images_may_change_by_nothing_but_a_flip():
    images = torch.rand(50, 1, 4, 4, generator=seeded(1))
    changed = crop_and_flip(padding=0)(images, seeded())
    flipped = 0
    for before, after in zip(images, changed, strict=True):
        assert torch.equal(after, before) or torch.equal(after, before.flip(-1))
        flipped += not torch.equal(after, before)
    assert flipped == pytest.approx(25, abs=15)


def test_cutout_hides_a_square_that_the_border_may_cut():
    images = torch.ones(4000, 2, 12, 12)
    changed = crop_and_flip(padding=0, cutout=4)(images, seeded())
    hidden = changed == 0
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    rows, columns = hidden[:, 0].any(dim=2).sum(dim=1), hidden[:, 0].any(dim=1).sum(dim=1)
    assert torch.equal(hidden[:, 0].sum(dim=(1, 2)), rows * columns)
    assert set(rows.tolist()) == {2, 3, 4}
    # a pixel in the middle is hidden by 4x4 of 12x12 centres, the first one by 3x3
    share = hidden[:, 0].float().mean(dim=0)
    assert share[6, 6] == pytest.approx(16 / 144, abs=0.02)
    assert share[0, 0] == pytest.approx(9 / 144, abs=0.015)


def test_augmentation_is_its_generators_and_leaves_its_input():
    images = torch.rand(20, 3, 8, 8, generator=seeded(1))
    kept, before = images.clone(), torch.random.get_rng_state()
    change = crop_and_flip(cutout=3)
    first, again, other = (change(images, seeded(seed)) for seed in (2, 2, 3))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(images, kept)
    assert torch.equal(before, torch.random.get_rng_state())
    assert change == crop_and_flip(padding=4, cutout=3)  # a value, that a recipe can show


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: crop_and_flip(padding=-1), "padding must be a whole number >= 0"),
        (lambda: crop_and_flip(cutout=1.5), "cutout must be a whole number >= 0"),
        (lambda: crop_and_flip()(torch.ones(3, 4), seeded()), "images must be of shape"),
        (
            lambda: crop_and_flip(fill=(0, 0, 0))(torch.ones(2, 1, 4, 4), seeded()),
            "fill must be one number or one for each of 1 channels",
        ),
    ],
)
def test_augmentation_that_makes_no_sense_is_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
