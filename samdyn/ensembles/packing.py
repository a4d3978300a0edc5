"""Particles in blocks of lanes: those that still run, packed together."""

from __future__ import annotations

import numpy as np

from samdyn.readings.lines import LANES


class Packed:
    """The running particles of a table, in blocks as a kernel has them.

    Particles end one by one, and a block takes as long as its last one. When half of the lanes are
    idle, those that run are packed anew.

    Parameters
    ----------
    table : ndarray, shape (rows, n)
        A row a quantity, a column a particle.
    keys : ndarray of uint64, shape (2, n)
    code : int
        The row that holds 0 while a particle runs.

    Attributes
    ----------
    index : ndarray of int
        The particle in each lane; the lanes after them are empty.
    blocks : ndarray, shape (blocks, rows * LANES)
    keys : ndarray, shape (blocks, 2, LANES)
    """

    def __init__(self, table: np.ndarray, keys: np.ndarray, code: int):
        self._whole, self._keys, self._code = table, keys, code
        self.index = np.flatnonzero(table[code] == 0.0)
        lanes = -(-len(self.index) // LANES) * LANES
        rows = np.zeros((len(table), lanes))
        rows[:, : len(self.index)] = table[:, self.index]
        rows[code, len(self.index) :] = 1.0  # an empty lane is done before it begins
        streams = np.zeros((2, lanes), np.uint64)
        streams[:, : len(self.index)] = keys[:, self.index]
        self.blocks = _by_block(rows).reshape(lanes // LANES, len(table) * LANES)
        self.keys = _by_block(streams)

    def unpack(self) -> None:
        """Write the particles back into the table."""
        self._whole[:, self.index] = by_row(self.blocks, len(self._whole))[:, : len(self.index)]

    def repacked(self) -> Packed:
        """The same, or those that still run if they are at most half of the lanes."""
        codes = self.blocks.reshape(len(self.blocks), len(self._whole), LANES)[:, self._code]
        if not codes.size or 2 * np.count_nonzero(codes == 0.0) > codes.size:
            return self
        self.unpack()
        return Packed(self._whole, self._keys, self._code)


def by_row(blocks: np.ndarray, rows: int) -> np.ndarray:
    """Blocks of shape (…, blocks, rows * LANES) as rows of shape (…, rows, lanes)."""
    shaped = np.moveaxis(blocks.reshape(*blocks.shape[:-1], rows, LANES), -2, -3)
    return shaped.reshape(*shaped.shape[:-2], shaped.shape[-2] * LANES)


def _by_block(rows: np.ndarray) -> np.ndarray:
    """Rows over all lanes as an array of shape (blocks, rows, LANES)."""
    shaped = np.moveaxis(rows.reshape(len(rows), rows.shape[1] // LANES, LANES), 0, 1)
    return np.ascontiguousarray(shaped)
