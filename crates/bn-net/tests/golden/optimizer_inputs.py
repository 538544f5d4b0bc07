"""The parameter vector and the five gradients that every optimizer of this folder gets."""

import numpy as np

from golden import draw

SEED = 5


def optimizer_inputs():
    """A start of shape (7) and gradients of shape (5, 7), one row per step; exact in f32."""
    rng = np.random.default_rng(SEED)
    start, gradients = draw(rng, 7), draw(rng, 5, 7)
    gradients[:, 5] *= 2.0**-20  # so small that the place of eps in a formula matters
    gradients[:, 6] = 0.0  # a parameter that the loss does not depend on: only weight decay changes it
    return start, gradients
