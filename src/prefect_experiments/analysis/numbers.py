"""Every number of a report is written here, so that all reports say the same.

Scores from 0 to 1 get two or three decimals, and their differences are in points (100 times the
difference). What else there is gets about four figures. A number that is not zero is never written
as zero, and one that is not perfect never as 1.00; but what differs from zero or one only by a float's
last digits, as the spread of equal scores can, is written as what it is.
"""

from __future__ import annotations

import math
from typing import Literal

Unit = Literal["points", "plain", "ms", "usd"]

OPERATION_UNITS: dict[str, Unit] = {"latency_ms": "ms", "token_count": "plain", "total_cost": "usd"}
NOTHING = "-"
_MOST_DECIMALS = 6
_MOST_DECIMALS_OF_MONEY = 12  # a call may cost a millionth of a dollar
_HUGE = 1e12
_LAST_DIGITS = 1e-12


def score(value: float | None) -> str:
    """A score or a mean of scores, such as ``0.84``, ``0.845`` or ``1,240``."""
    if value is None or not math.isfinite(value):
        return NOTHING
    value = _cleared(value)
    if not 0 <= value <= 1:
        return plain(value)
    if 0 < value < 0.0005:
        return "<0.001"
    if 0.9995 <= value < 1:
        return ">0.999"
    text = f"{value:.3f}"
    return text.removesuffix("0")  # 0.840 is 0.84, and 1.000 is 1.00


def score_beside(value: float, bound: float) -> str:
    """A score with so many digits that it does not seem to lie on the other side of a bound, or on it."""
    for text in (score(value), f"{value:.9g}"):
        shown = float(text.strip("<>").replace(",", ""))
        if (shown < bound, shown > bound) == (value < bound, value > bound) or text[0] in "<>":
            return text
    return repr(value)


def _cleared(value: float) -> float:
    """The number without what arithmetic has left in its last digits, next to zero and to one."""
    return next((whole for whole in (0.0, 1.0) if abs(value - whole) < _LAST_DIGITS), value)


def mean(value: float | None) -> str:
    """A score for a column of numbers: with three decimals always, where it lies from 0 to 1."""
    text = score(value)
    return f"{text}0" if len(text) == 4 and text[1] == "." and value is not None and 0 <= value <= 1 else text


def plain(value: float | None) -> str:
    """Any number, with about four figures and no needless decimals."""
    if value is None or not math.isfinite(value):
        return NOTHING
    value = _cleared(value)
    if value == 0:
        return "0"
    size = abs(value)
    if size >= _HUGE or size < 1e-4:
        return f"{value:.3g}"
    if size >= 1000 or value == int(value):
        return f"{value:,.0f}"
    text = f"{value:.{3 - math.floor(math.log10(size))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(n: int, one: str = "", plural: str = "") -> str:
    """Such as ``1 example``, ``5,000 examples``, or the number alone."""
    word = one if n == 1 else plural or (one and f"{one}s")
    return f"{n:,} {word}".rstrip()


def share(n: int, of: int) -> str:
    """Such as ``3 of 200 (1.5%)``: a part never comes without its whole."""
    return f"{n:,} of {of:,}" + (f" ({percent(n / of)})" if of and n else "")


def percent(value: float) -> str:
    """A share from 0 to 1 as a percentage; only all is 100 %, only none is 0 %."""
    value = _cleared(value)
    if 0 < value < 0.001:
        return "<0.1%"
    if 0.999 < value < 1:
        return ">99.9%"
    return f"{100 * value:.1f}".removesuffix(".0") + "%"


def duration(ms: float | None) -> str:
    """A time given in milliseconds, such as ``834 ms``, ``1.24 s`` or ``2 min 3 s``."""
    if ms is None or not math.isfinite(ms):
        return NOTHING
    if abs(ms) < 999.5:
        return f"{ms:.0f} ms".replace("-0 ", "0 ")
    if abs(ms) < 59_950:
        return f"{ms / 1000:.{2 if abs(ms) < 9995 else 1}f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes:,} min {seconds} s"


def money(usd: float | None) -> str:
    """US dollars, such as ``$12.34``, ``$0.159`` or ``$0.00042``."""
    if usd is None or not math.isfinite(usd):
        return NOTHING
    usd = _cleared(usd)
    sign, size = ("-" if usd < 0 else ""), abs(usd)
    if size == 0:
        return "$0"
    if size >= 1:
        return f"{sign}${size:,.2f}"
    whole, _, cents = f"{size:.{min(_MOST_DECIMALS_OF_MONEY, 2 - math.floor(math.log10(size)))}f}".partition(".")
    return f"{sign}${whole}.{cents.rstrip('0').ljust(2, '0')}"


def p_value(p: float | None) -> str:
    """A p-value with three decimals, or ``<0.001``."""
    if p is None or not math.isfinite(p):
        return NOTHING
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def value(number: float | None, unit: Unit) -> str:
    """A mean in its unit."""
    return {"points": score, "plain": plain, "ms": duration, "usd": money}[unit](number)


def difference(number: float | None, low: float | None, high: float | None, unit: Unit) -> tuple[str, str]:
    """A difference and its interval, with as many decimals as the interval's width is worth.

    Returns:
        Such as ``("-3 points", "[-6, -1]")``; the interval is empty where there is none.
    """
    if number is None or not math.isfinite(number):
        return NOTHING, ""
    factor, before, after = {
        "points": (100.0, "", " points"),
        "plain": (1.0, "", ""),
        "ms": (1.0, "", " ms"),
        "usd": (1.0, "$", ""),
    }[unit]
    known = [part * factor for part in (number, low, high) if part is not None and math.isfinite(part)]
    if unit == "ms" and max(map(abs, known)) >= 10_000:
        known, after = [part / 1000 for part in known], " s"
    decimals = _decimals(known, _MOST_DECIMALS_OF_MONEY if unit == "usd" else _MOST_DECIMALS)
    shown = [_signed(part, decimals, before) for part in known]
    if not _cleared(known[0]):
        shown[0] = f"{before}0"  # what is nothing needs no decimals
    if unit == "points" and shown[0] in ("1", "-1"):
        after = " point"
    plus = "+" if known[0] > 0 and shown[0].strip("0.,$") else ""
    return f"{plus}{shown[0]}{after}", f"[{shown[1]}, {shown[2]}]".replace("$", "") if len(shown) == 3 else ""


def _decimals(values: list[float], most: int) -> int:
    width = values[2] - values[1] if len(values) == 3 else 0.0
    width = width or abs(values[0])
    if width < 1e-9:  # nothing differs, or not by more than a float's last digits
        return 0
    decimals = min(most, max(0, -math.floor(math.log10(width / 4))))
    while decimals < most and any(abs(v) >= 1e-9 and round(v, decimals) == 0 for v in values):
        decimals += 1
    while decimals and len(values) == 1 and abs(round(values[0], decimals - 1) - values[0]) < 1e-9:
        decimals -= 1
    return decimals


def _signed(number: float, decimals: int, before: str) -> str:
    if abs(number) >= _HUGE:
        return f"-{before}{-number:.3g}" if number < 0 else f"{before}{number:.3g}"
    text = f"{number:,.{decimals}f}"
    if not text.strip("-0.,"):
        text = text.removeprefix("-")
    return f"-{before}{text[1:]}" if text.startswith("-") else f"{before}{text}"


def unit_of(*means: float | None, operation: str = "") -> Unit:
    """Points where all means are scores from 0 to 1; of latency, tokens and cost, which are named, their own."""
    if operation:
        return OPERATION_UNITS[operation]
    return "points" if all(mean is not None and 0 <= mean <= 1 for mean in means) else "plain"


def change(number: float | None, low: float | None, high: float | None, unit: Unit) -> str:
    """A difference with its interval, such as ``-3 points [-6, -1]``."""
    text, interval = difference(number, low, high, unit)
    return f"{text} {interval}".rstrip()
