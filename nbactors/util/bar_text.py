"""A progress bar's state in words and as a line of text, in tqdm's format, which everybody reads."""

from __future__ import annotations

from nbactors.frontend.sink import Progress

WIDTH = 10
_PARTS = " ▏▎▍▌▋▊▉"


def fraction(progress: Progress) -> float | None:
    """Return how far it is, from 0 to 1; None where the total is not known."""
    if progress.total is None or not progress.total > 0:
        return None
    return min(max(progress.n / progress.total, 0.0), 1.0)


def is_unfinished(progress: Progress) -> bool:
    """Return whether it has ended before its total."""
    return progress.closed and (bool(progress.failed) or (fraction(progress) or 1.0) < 1.0)


def title(progress: Progress) -> str:
    """Return what it is about."""
    return progress.description or progress.label


def numbers(progress: Progress) -> str:
    """Return counts and times: ``14/30 [00:02<00:02, 6.62it/s, loss=3]``."""
    count = amount(progress.n, progress.unit_scale)
    if progress.total is not None:
        count += "/" + amount(progress.total, progress.unit_scale)
    elif progress.unit:
        count += progress.unit if progress.unit_scale or len(progress.unit) < 3 else f" {progress.unit}"
    took = clock(progress.elapsed)
    if progress.total is not None and not progress.closed:
        rest = max(progress.total - progress.n, 0.0)
        took += "<" + (clock(rest / progress.rate) if progress.rate > 0 else "?")
    facts = [took, speed(progress), progress.postfix, progress.failed]
    return f"{count} [{', '.join(fact for fact in facts if fact)}]"


def speed(progress: Progress) -> str:
    """Return the rate, the other way round where that reads better; empty where it is not known."""
    rate, unit = progress.rate, progress.unit
    if not 0 < rate < float("inf"):
        return ""
    space = " " if len(unit) > 2 else ""
    if rate >= 1 or progress.unit_scale:
        scaled = amount(rate, progress.unit_scale) if progress.unit_scale else f"{rate:.2f}"
        return f"{scaled}{space}{unit}/s"
    return f"{1 / rate:.2f}s/{unit}"


def amount(value: float, scale: float) -> str:
    """Return a number, with `scale` in thousands, millions and so on."""
    if not scale:
        return f"{int(value)}" if value == int(value) else f"{value:.6g}"
    value *= scale
    for prefix in ("", "k", "M", "G", "T", "P"):
        if abs(value) < 999.5:
            return f"{value:.3g}{prefix}"
        value /= 1000
    return f"{value:.3g}E"


def clock(seconds: float) -> str:
    """Return ``02:05`` or ``1:02:05``."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute:02}:{second:02}"


def line(progress: Progress) -> str:
    """Return the whole bar as one line, without a line feed."""
    head = f"{title(progress)}: " if title(progress) else ""
    done = fraction(progress)
    if done is None:
        return head + numbers(progress)
    eighths = int(done * WIDTH * 8)
    full, rest = divmod(eighths, 8)
    drawn = ("█" * full + (_PARTS[rest] if rest else "")).ljust(WIDTH)
    return f"{head}{int(done * 100):3}%|{drawn}| {numbers(progress)}"
