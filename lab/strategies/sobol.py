"""Points that fill the unit cube evenly: Sobol's sequence, scrambled, without numpy. Pure.

The direction numbers are those of S. Joe and F. Y. Kuo (2008). Each dimension is scrambled as A. B. Owen proposed: in
every half of every half of the interval the two sides change places or not, by the luck of the seed. What was evenly
spread stays so, and another seed gives other points.
"""

from __future__ import annotations

from functools import cache

# The primitive polynomial of each dimension as the number of its bits, and the first direction numbers.
_TABLE = (
    (1, (1,)),
    (3, (1,)),
    (7, (1, 3)),
    (11, (1, 3, 1)),
    (13, (1, 1, 1)),
    (19, (1, 1, 3, 3)),
    (25, (1, 3, 5, 13)),
    (37, (1, 1, 5, 5, 17)),
    (41, (1, 1, 5, 5, 5)),
    (47, (1, 1, 7, 11, 19)),
    (55, (1, 1, 5, 1, 1)),
    (59, (1, 1, 1, 3, 11)),
    (61, (1, 3, 5, 5, 31)),
    (67, (1, 3, 3, 9, 7, 49)),
    (91, (1, 1, 1, 15, 21, 21)),
    (97, (1, 3, 1, 13, 27, 49)),
    (103, (1, 1, 1, 15, 7, 5)),
    (109, (1, 3, 1, 15, 13, 25)),
    (115, (1, 1, 5, 5, 19, 61)),
    (131, (1, 3, 7, 11, 23, 15, 103)),
    (137, (1, 3, 7, 13, 13, 15, 69)),
    (143, (1, 1, 3, 13, 7, 35, 63)),
    (145, (1, 3, 5, 9, 1, 25, 53)),
    (157, (1, 3, 1, 13, 9, 35, 107)),
    (167, (1, 3, 1, 5, 27, 61, 31)),
    (171, (1, 1, 5, 11, 19, 41, 61)),
    (185, (1, 3, 5, 3, 3, 13, 69)),
    (191, (1, 1, 7, 13, 1, 19, 1)),
    (193, (1, 3, 7, 5, 13, 19, 59)),
    (203, (1, 1, 3, 9, 25, 29, 41)),
    (211, (1, 3, 5, 13, 23, 1, 55)),
    (213, (1, 3, 7, 3, 13, 59, 17)),
    (229, (1, 3, 1, 3, 5, 53, 69)),
    (239, (1, 1, 5, 5, 23, 33, 13)),
    (241, (1, 1, 7, 7, 1, 61, 123)),
    (247, (1, 1, 7, 9, 13, 61, 49)),
    (253, (1, 3, 3, 5, 3, 55, 33)),
    (285, (1, 3, 1, 15, 31, 13, 49, 245)),
    (299, (1, 3, 5, 15, 31, 59, 63, 97)),
    (301, (1, 3, 1, 11, 11, 11, 77, 249)),
)
DIMENSIONS = len(_TABLE)
INDICES = 2**32  # there are no more points

_BITS = 32
_WORD = 2**64 - 1
_DEPTH = 24  # halves of halves scrambled one by one: in a search of 2 ** 24 points no two meet below that
_FINE = 2**53  # the steps of a float between 0 and 1


def point(seed: int, index: int, dimensions: int) -> tuple[float, ...]:
    """The point at `index` of the sequence of this seed, each coordinate from 0 to below 1.

    Any 2 ** k indices from a multiple of 2 ** k on have one point in each of 2 ** k equal slices of every dimension.
    From dimension 40 on the table is used again with the indices shuffled: still even in each dimension, no longer in
    pairs of them.
    """
    root = _mixed(seed & _WORD)
    found = []
    for dimension in range(dimensions):
        group, row = divmod(dimension, DIMENSIONS)
        place = _shuffled(index % INDICES, _mixed(root ^ _mixed(~group & _WORD))) if group else index % INDICES
        found.append(_scrambled(plain(place, row), _mixed(root ^ _mixed(dimension + 1))))
    return tuple(found)


def plain(index: int, dimension: int) -> int:
    """The coordinate as it is before the scrambling, of 2 ** 32; `dimension` is below DIMENSIONS."""
    found = 0
    for number in _directions(dimension):
        if not index:
            break
        if index & 1:
            found ^= number
        index >>= 1
    return found


@cache
def _directions(dimension: int) -> tuple[int, ...]:
    polynomial, first = _TABLE[dimension]
    degree = polynomial.bit_length() - 1
    if not degree:
        return tuple(1 << (_BITS - 1 - k) for k in range(_BITS))
    found = [number << (_BITS - 1 - k) for k, number in enumerate(first)]
    for k in range(degree, _BITS):
        number = found[k - degree] ^ (found[k - degree] >> degree)
        for back in range(1, degree):
            if polynomial >> (degree - back) & 1:
                number ^= found[k - back]
        found.append(number)
    return tuple(found)


def _scrambled(coordinate: int, seed: int) -> float:
    """The coordinate with each bit turned or not by the luck of the bits above it, as a float."""
    found = _turned(coordinate, seed, _DEPTH) >> (_BITS - _DEPTH)
    rest = _mixed(seed ^ coordinate) >> (64 - 53 + _DEPTH)
    return ((found << (53 - _DEPTH)) | rest) / _FINE


def _shuffled(index: int, seed: int) -> int:
    """Another index. Those below any 2 ** k change places, and so does each such stretch as a whole."""
    return _turned(index, seed, _BITS)


def _turned(number: int, seed: int, depth: int) -> int:
    above = 1  # with a leading one, so that 01 is another place than 001
    found = number
    for k in range(_BITS - 1, _BITS - 1 - depth, -1):
        if _mixed(seed ^ above) & 1:
            found ^= 1 << k
        above = above << 1 | (number >> k & 1)
    return found


def _mixed(number: int) -> int:
    """A number of 64 bits that looks like chance: each bit of it depends on every bit of `number`."""
    number = (number + 0x9E3779B97F4A7C15) & _WORD
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _WORD
    return number ^ (number >> 31)
