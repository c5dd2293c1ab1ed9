"""Medians, spreads, and how sure a ratio of two medians is.

Runs number i of two allocators were made one after the other, so ratios are
taken over pairs: drift of the machine hits both.
"""

import math
import random
from statistics import median

RESAMPLES = 1000
FEW = 10  # with fewer pairs than this a resampled median says too little
FEWEST = 6  # with fewer, even the whole range holds the median in less than 95% of cases


def quantile(values, share):
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def spread(values):
    """The distance between the quartiles."""
    return quantile(values, 0.75) - quantile(values, 0.25)


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def _pairs(first, second):
    return [(a, b) for a, b in zip(first, second) if a is not None and b is not None]


def _interval(pairs, statistic, seed):
    """95% confidence interval by resampling pairs; the whole range when they are few,
    and no bounds at all when they are too few to decide anything."""
    if len(pairs) < FEWEST:
        return -math.inf, math.inf
    if len(pairs) < FEW:
        each = [statistic([pair]) for pair in pairs]
        return min(each), max(each)
    rng = random.Random(seed)
    drawn = [statistic(rng.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES)]
    return quantile(drawn, 0.025), quantile(drawn, 0.975)


def _ratio(pairs):
    return median(a for a, _ in pairs) / median(b for _, b in pairs)


def _difference(pairs):
    return median(a for a, _ in pairs) - median(b for _, b in pairs)


def ratio(first, second, seed=1):
    """(ratio of medians, low, high), or None without a common run."""
    pairs = _pairs(first, second)
    return (_ratio(pairs), *_interval(pairs, _ratio, seed)) if pairs else None


def difference(first, second, seed=1):
    """(difference of medians, low, high), or None without a common run."""
    pairs = _pairs(first, second)
    return (_difference(pairs), *_interval(pairs, _difference, seed)) if pairs else None


def geometric_ratio(tests, seed=1):
    """(geometric mean of the ratios, low, high); `tests` holds (first, second) lists."""
    paired = [_pairs(first, second) for first, second in tests]
    paired = [pairs for pairs in paired if pairs]
    if not paired:
        return None
    rng = random.Random(seed)
    drawn = [
        geometric_mean([_ratio(rng.choices(pairs, k=len(pairs))) for pairs in paired])
        for _ in range(RESAMPLES // 4)
    ]
    middle = geometric_mean([_ratio(pairs) for pairs in paired])
    return middle, quantile(drawn, 0.025), quantile(drawn, 0.975)


def verdict(low, high, neutral=1.0):
    """Less is better; an interval that holds the neutral value decides nothing."""
    if high < neutral:
        return "faster"
    return "slower" if low > neutral else "tie"
