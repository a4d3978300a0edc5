"""The algorithms once more, as loops over lists of mpmath numbers, from the papers' formulas.

Nothing here comes from samdyn but a loss's formula: these are what its readings are held against.
A rule is a function ``rule(grad, w) -> w`` made by one of the functions below; what it remembers
(a velocity) it keeps to itself.
"""

import mpmath
import sympy


def gradient(loss):
    """The gradient of a loss's formula, by SymPy and mpmath."""
    variables = [sympy.Symbol(name, real=True) for name in loss.variables]
    constants = [sympy.Symbol(name, real=True) for name in loss.constants]
    slopes = [sympy.diff(loss.expression, x) for x in variables]
    # subexpressions that derivatives share are computed once: that is for speed only
    function = sympy.lambdify([*variables, *constants], slopes, "mpmath", cse=True)
    values = [mpmath.mpf(float(value)) for value in loss.constants.values()]
    return lambda w: list(function(*w, *values))


def trajectory(rule, grad, start, steps, digits):
    """The points 0 … steps of a rule, in arithmetic of so many digits."""
    with mpmath.workdps(digits):
        points = [[mpmath.mpf(float(x)) for x in start]]
        for _ in range(steps):
            points.append(rule(grad, points[-1]))
        return points


def sgd(lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    """torch.optim.SGD, line by line of its documentation."""
    velocity = []

    def rule(grad, w):
        nonlocal velocity
        g = grad(w)
        for i in range(len(w)):
            g[i] = g[i] + weight_decay * w[i]
        if momentum != 0.0:
            if not velocity:
                velocity = [mpmath.mpf(0)] * len(w)
            velocity = [momentum * velocity[i] + g[i] for i in range(len(w))]
            looked_ahead = [g[i] + momentum * velocity[i] for i in range(len(w))]
            g = looked_ahead if nesterov else velocity
        return [w[i] - lr * g[i] for i in range(len(w))]

    return rule


def length(v):
    total = mpmath.mpf(0)
    for x in v:
        total = total + x * x
    return mpmath.sqrt(total)


def sam_gradient(grad, w, rho):
    """Foret et al., eq. (2) and (3): the gradient at w + rho g / |g|."""
    g = grad(w)
    size = length(g)
    if size == 0:
        return grad(w)
    return grad([w[i] + rho * g[i] / size for i in range(len(w))])


def usam_gradient(grad, w, rho):
    """Kim et al. (2301.06308), Theorem 1: the gradient at w + rho g."""
    g = grad(w)
    return grad([w[i] + rho * g[i] for i in range(len(w))])


def several_ascents_gradient(grad, w, rho, steps):
    """Multi-step SAM: the gradient after ``steps`` normalised ascents of length rho/steps."""
    p = list(w)
    for _ in range(steps):
        g = grad(p)
        size = length(g)
        p = [p[i] + rho / steps * g[i] / size for i in range(len(w))]
    return grad(p)


def asam_gradient(grad, w, rho, eta):
    """Kwon et al., eq. (8): the gradient at w + rho T^2 g / |T g| with T = |w| + eta."""
    g = grad(w)
    t = [abs(x) + eta for x in w]
    size = length([t[i] * g[i] for i in range(len(w))])
    return grad([w[i] + rho * t[i] ** 2 * g[i] / size for i in range(len(w))])


def decayed(grad, weight_decay):
    """The gradient of the loss plus weight_decay |w|^2 / 2."""
    return lambda w: [g + weight_decay * x for g, x in zip(grad(w), w, strict=True)]


def on(seen, update):
    """An update that is given another gradient, ``seen(grad, w)``, in place of grad(w)."""
    return lambda grad, w: update(lambda p: seen(grad, p), w)


def lookahead(inner, k, alpha):
    """Zhang et al., algorithm 1: k fast steps, then alpha of the way."""

    def rule(grad, w):
        fast = w
        for _ in range(k):
            fast = inner(grad, fast)
        return [slow + alpha * (f - slow) for slow, f in zip(w, fast, strict=True)]

    return rule
