"""A function that does something else under the same name is another function; one that does not
is the same in every process.
"""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass

import pytest

torch = pytest.importorskip("torch")

import samdyn as sd  # noqa: E402
from samdyn.networks.fingerprints import Reader, definitions  # noqa: E402

SCRIPT = '''
"""One training, of which every part is the user's own."""
import enum, functools, math, sys
from dataclasses import dataclass
import torch
from torch import nn
import torch.nn.functional as F
import samdyn as sd
import samdyn.networks as nets
import helpers

torch.set_num_threads(1)
ALPHA = 0.5
KINDS = {"b", "a", "c"}
TABLE = {"x": 1.0, "y": [1, 2]}

class Kind(enum.Enum):
    ONE = 1

def power(x, p=2):
    """A helper."""
    return x.abs() ** p

def loss(f, y):
    """Of each sample."""
    kind = Kind.ONE if "a" in {"a", "b", "zz"} and KINDS else None
    return ALPHA * power(f[:, 0] - y) + helpers.extra(f) + F.relu(-f[:, 0])

@dataclass(frozen=True)
class Huber:
    delta: float = 1.0
    def __call__(self, f, y):
        return F.huber_loss(f[:, 0], y, reduction="none", delta=self.delta)

class Augment:
    def __init__(self):
        self.scale = 0.01
        self.shift = torch.tensor([0.5])
    def __call__(self, x, generator):
        return x + self.scale * self.noise(x, generator)
    def noise(self, x, generator):
        return torch.randn(x.shape, generator=generator) + self.shift

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.line = nn.Linear(2, 1)
        self.gain = 2.0
        self.fixed = nn.Parameter(torch.tensor([0.25]), requires_grad=False)
    def reset_parameters(self):
        pass
    def forward(self, x):
        return self.gain * torch.tanh(self.line(x)) + self.fixed

def slope(grad, w):
    return grad(w)

@sd.algorithm
def step(grad, w, *, lr):
    """A step."""
    return w - lr * slope(grad, w)

@torch.no_grad()
def largest(problem, w):
    return w.abs().max()

def faded(rate):
    return lambda done: 1.0 - rate * done

schedule = faded(0.5)
augment = Augment()
chosen = loss
net = Net()
# CHANGE
x = torch.linspace(-1, 1, 12).reshape(6, 2)
samples = nets.Samples(x, x[:, 0] * 0.5)

def run(folder, **options):
    given = dict(
        epochs=2, batch_size=3, loss=chosen, augment=augment, schedule=schedule, seed=3,
        track={"largest": largest}, progress=False, checkpoint=folder,
    )
    return nets.train(net, samples, step(lr=0.1), **(given | options))

if __name__ == "__main__":
    print(repr(run(sys.argv[1]).train_loss.values.tolist()))
'''
HELPERS = "def extra(f):\n    return 0.1 * f[:, 0] ** 2\n"

CHANGES = {
    "the body of a loss": ("loss", "return ALPHA * power", "return 2 * ALPHA * power"),
    "a global of a loss": ("loss", "ALPHA = 0.5", "ALPHA = 0.75"),
    "a table of a loss": ("loss", '"a", "c"}', '"a", "d"}'),
    "a helper of a loss": ("loss", "return x.abs() ** p", "return x.abs() ** (p + 1)"),
    "a default of a helper": ("loss", "p=2", "p=3"),
    "a function of a file": ("loss", None, HELPERS.replace("0.1", "0.2")),
    "a method of an augmentation": ("augment", "torch.randn(x", "torch.rand(x"),
    "a number of an augmentation": ("augment", "scale = 0.01", "scale = 0.02"),
    "a tensor of an augmentation": ("augment", "tensor([0.5])", "tensor([0.75])"),
    "a step": ("algorithm", "return w - lr * slope", "return w - 2 * lr * slope"),
    "a helper of a step": ("algorithm", "return grad(w)", "return grad(w) + 0.1 * w"),
    "a module's forward": ("model", "self.gain * torch.tanh", "self.gain * torch.sin"),
    "a module's attribute": ("model", "self.gain = 2.0", "self.gain = 3.0"),
    "a module's fixed weight": ("model", "tensor([0.25])", "tensor([0.5])"),
    "a measure behind a decorator": ("measure largest", "w.abs().max()", "w.abs().min()"),
    "a schedule": ("schedule", "1.0 - rate * done", "1.0 - rate * done**2"),
    "a closure of a schedule": ("schedule", "faded(0.5)", "faded(0.25)"),
}


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A training in a process of its own, and what it printed."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "script.py").write_text(SCRIPT)
    (folder / "helpers.py").write_text(HELPERS)
    return folder, _process(folder, "0")


def _process(folder, hashes):
    done = subprocess.run(
        [sys.executable, "script.py", "kept"],
        cwd=folder,
        env=os.environ | {"PYTHONHASHSEED": hashes, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _again(folder, code, helpers=HELPERS, **options):
    """The same training by other code, in this process."""
    module, named = type(sys)("__main__"), type(sys)("helpers")
    exec(compile(helpers, "helpers.py", "exec"), vars(named))
    before, sys.modules["helpers"] = sys.modules.get("helpers"), named
    try:
        vars(module)["__name__"] = "user"
        exec(compile(code, "elsewhere.py", "exec"), vars(module))
        for one in (*vars(module).values(),):
            if getattr(one, "__module__", None) == "user":
                one.__module__ = "__main__"
        return module.run(folder / "kept", **options)
    finally:
        del sys.modules["helpers"]
        if before is not None:
            sys.modules["helpers"] = before


@pytest.mark.slow
def test_an_unchanged_training_is_taken_up_in_another_process(started):
    folder, said = started
    before = (folder / "kept" / "run.pt").stat().st_mtime_ns
    for hashes in ("1", "4711"):
        assert _process(folder, hashes) == said
    assert (folder / "kept" / "run.pt").stat().st_mtime_ns >= before


def test_how_code_is_written_down_does_not_matter(started):
    folder, said = started
    code = SCRIPT.replace('"""Of each sample."""\n', "# of each sample\n\n\n")
    code = code.replace('    """A helper."""\n', "").replace(
        "(x, p=2)", "(\n    x: float,\n    p=2)"
    )
    code = code.replace('"""A step."""', '"""Another text, because None reads what is written."""')
    code = "# a line more\n" + code.replace('{"a", "b", "zz"}', '{"zz", "b", "a"}')
    assert code.count("of each sample") == 1
    assert repr(_again(folder, code).train_loss.values.tolist()) == said.strip()


@pytest.mark.parametrize("change", CHANGES)
def test_code_that_does_something_else_is_refused(change, started):
    folder, _ = started
    entry, old, new = CHANGES[change]
    assert old is None or SCRIPT.count(old) >= 1
    code, helpers = (SCRIPT, new) if old is None else (SCRIPT.replace(old, new), HELPERS)
    what = {"model": "module", "algorithm": "algorithm"}.get(entry, "function")
    sentence = f"is of another run: its {entry} is not the same {what} .*choose another folder"
    with pytest.raises(ValueError, match=sentence):
        _again(folder, code, helpers)


def test_a_file_without_fingerprints_is_refused(started, tmp_path):
    folder, _ = started
    kept = torch.load(folder / "kept" / "run.pt", weights_only=True)
    del kept["recipe"]["code"]
    (tmp_path / "kept").mkdir()
    torch.save(kept, tmp_path / "kept" / "run.pt")
    with pytest.raises(ValueError, match="does not say what its functions do"):
        _again(tmp_path, SCRIPT)


def _of(code, name="f"):
    known = {"__name__": "user"}
    exec(textwrap.dedent(code), known)
    return Reader().of("f", known[name])


SAME = [
    ("f = lambda x: x + 1", "f = (\n  lambda x: x + 1\n)"),
    ("def f(x):\n  return x", "def f(x: int) -> int:\n  '''Doc.'''\n\n  # why\n  return x"),
    ("def f(x):\n  if x:\n    return None\n", "def f(x):\n  'doc'\n  if x:\n\n    return None\n"),
    ("def f(s):\n  while True:\n    s += 1\n", "def f(s):\n  while 1:\n    s += 1\n"),
    ("import torch as t\nf = lambda x: t.sin(x)", "import torch as t\nf = lambda x: t.sin( x )"),
    (
        "import functools\nf = functools.partial(max, 1)",
        "from functools import *\nf = partial(max, 1)",
    ),
]
OTHER = [
    ("f = lambda x: x + 1", "1", "1.0"),
    ("f = lambda x: x + 1", "1", "True"),
    ("f = lambda x: x + 1", "+", "-"),
    ("f = lambda x: x < 1", "<", ">"),
    ("f = lambda x: [i + 1 for i in x]", "1", "2"),
    ("f = lambda x, y=1: x", "x, y", "x, *, y"),
    ("f = lambda x: x", "x:", "*x:"),
    ("import torch\nf = lambda x: torch.sin(x)", "sin", "cos"),
    ("import torch as t\nf = lambda x: t.sin(x)", "torch", "numpy"),
    ("from torch import sin as g\nf = lambda x: g(x)", "sin", "cos"),
    ("import numpy\nf = numpy.sin", "sin", "cos"),
    ("from functools import partial\nf = partial(max, 1)", "1", "2"),
    ("import functools\nf = functools.cache(lambda x: x)", ": x", ": -x"),
    ("import torch\nf = torch.vmap(lambda x: x)", ": x", ": -x"),
    ("import torch\nf = torch.vmap(lambda x: x, in_dims=0)", "0", "1"),
    ("from torch import nn\ng = nn.L1Loss()\nf = lambda x, y: g(x, y)", "L1", "MSE"),
    ("from torch import nn\nf = nn.CrossEntropyLoss()", "()", "(label_smoothing=0.1)"),
    ("from samdyn.networks.losses import CrossEntropy as C\nf = C()", "()", "(0.1)"),
    ("class A:\n __slots__ = ('a',)\n def g(s): return s.a\na = A(); a.a = 1\nf = a.g", "1", "2"),
    (
        "class A:\n def g(s): return 1\nclass B(A):\n def g(s): return super().g()\nf = B().g",
        "1",
        "2",
    ),
    ("import numpy as np\na = np.zeros(2000)\na[999] = 0\nf = lambda: a", "= 0", "= 1e-9"),
    ("class C:\n lr = 1\nc = C()\nf = lambda: c.lr", "1", "2"),
    ("from types import SimpleNamespace as S\nc = S(lr=1)\nf = lambda: c.lr", "1", "2"),
    ("def f(x):\n def g(): return 1\n return g", "1", "2"),
    ("def f(x):\n try: return x()\n except ValueError: pass", "Value", "Type"),
    ("def f(x): return f.scale * x\nf.scale = 1", "1", "2"),
    ("def g():\n  def h(x): return x + 1\n  return lambda x: h(x)\nf = g()", "1", "2"),
    ("def g():\n  import statistics as s\n  return lambda x: s.mean(x)\nf = g()", "mean", "mode"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same(one, other):
    assert _of(one) == _of(other)


@pytest.mark.parametrize(("code", "old", "new"), OTHER)
def test_not_the_same(code, old, new):
    assert old in code
    assert _of(code) == _of(code)
    assert _of(code) != _of(code.replace(old, new))


def test_what_the_trained_module_was_before_does_not_matter_to_a_measure():
    def of(net):
        return definitions(net, [], {"measure own": lambda problem, w: net(w), "loss": None})

    first, second, bias = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1), torch.nn.Linear(1, 2)
    assert of(first) == of(second)
    assert of(first) != of(bias)
    teacher = lambda net: definitions(first, [], {"loss": net})  # noqa: E731
    assert teacher(second) != teacher(torch.nn.Linear(1, 1))


def test_a_hook_is_part_of_a_module():
    def hooked(factor):
        net = torch.nn.Linear(1, 1)
        net.register_forward_hook(lambda module, inputs, outputs: factor * outputs)
        return definitions(net, [], {})

    assert hooked(1.0) == hooked(1.0) != hooked(2.0)


def test_an_algorithm_of_a_class_is_its_code_without_its_numbers():
    def of(factor, lr):
        def move(w, g):
            return w - factor * g

        @dataclass(frozen=True)
        class Own(sd.algorithms.base.Algorithm):
            lr: float

            @property
            def numbers(self):
                return {"lr": self.lr}

            def step(self, grad, z, n):
                return (move(z[0], n.lr * grad(z[0])),)

        return definitions(torch.nn.Linear(1, 1), [sd.Lookahead(Own(lr)), sd.GD(lr=lr)], {})

    assert of(1, 0.1) == of(1, 0.2)
    assert of(1, 0.1)["algorithm of phase 0"] != of(2, 0.1)["algorithm of phase 0"]


def test_what_goes_around_in_circles_ends():
    found = _of(
        """
        class Node:
            def __call__(self): return even(3)
        def even(n): return n == 0 or odd(n - 1)
        def odd(n): return n != 0 and even(n - 1)
        f = Node()
        f.next, f.all, f.mine, f.stream = Node(), [], {}, iter([1])
        f.next.next = f
        f.all.append(f.all)
        f.mine[f] = f
        """
    )
    assert found["f.next.next"] == "as f"
    assert found["f.stream"] == "builtins.list_iterator"
    json.dumps(found)
