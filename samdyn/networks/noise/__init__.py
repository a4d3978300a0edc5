"""The noise of minibatch gradients: gradients of single samples and their covariance."""

from samdyn.networks.noise.alignment import GradientNoise, gauss_newton_product, gradient_noise
from samdyn.networks.noise.covariance import (
    NoiseCovariance,
    batch_factor,
    covariance_product,
    gaussian_noise,
    noise_covariance,
    noise_trace,
)
from samdyn.networks.noise.gradients import sample_gradients

__all__ = [
    "GradientNoise",
    "NoiseCovariance",
    "batch_factor",
    "covariance_product",
    "gauss_newton_product",
    "gaussian_noise",
    "gradient_noise",
    "noise_covariance",
    "noise_trace",
    "sample_gradients",
]
