"""Modified equations: drift and covariance of an algorithm's step on a random loss, by symbol."""
