"""Which input code may stand in front of which hidden code, and why not."""

from eventsnn.errors import ModelError, did_you_mean

MULTI_SPIKE = ("rate", "phase", "burst")
HIDDEN_CODES = (*MULTI_SPIKE, "ttfs")
INPUT_CODES = ("constant", "poisson", "phase", "burst", "ttfs_kernel")
_TRAIN = ("a ttfs layer decodes a spike with the kernel of its time, as the only one of its neuron; the spikes of a train would "
          "be decoded as so many values")  # fmt: skip
_ONCE = ("a ttfs input says each value once, with a kernel that a {hidden} layer does not decode, and then falls silent, while "
         "the biases of the layers go on")  # fmt: skip

REASONS = {("ttfs_kernel", hidden): _ONCE.format(hidden=hidden) for hidden in MULTI_SPIKE}
REASONS |= {(code, "ttfs"): _TRAIN for code in ("poisson", "phase", "burst")}
"""The pairs that have no meaning."""

LEGAL = tuple((i, h) for i in INPUT_CODES for h in HIDDEN_CODES if (i, h) not in REASONS)


def why_not(input_code, hidden_code):
    """Say why a pair of codes has no meaning.

    Parameters
    ----------
    input_code : str
        One of ``INPUT_CODES``.
    hidden_code : str
        One of ``HIDDEN_CODES``.

    Returns
    -------
    str or None
        A sentence with the codes that are allowed in its place; None: the pair is legal.
    """
    if (input_code, hidden_code) in LEGAL:
        return None
    allowed = ", ".join(i for i, h in LEGAL if h == hidden_code)
    reason = REASONS.get((input_code, hidden_code), "it is no code of this conversion")
    return f"input code {input_code!r} cannot feed hidden code {hidden_code!r}: {reason}; allowed {allowed}"


def check_pair(input_code, hidden_code):
    """Refuse a pair of codes that has no meaning.

    Parameters
    ----------
    input_code, hidden_code : str

    Raises
    ------
    ModelError
        With the reason.
    """
    for name, value, known in (("input", input_code, INPUT_CODES), ("hidden", hidden_code, HIDDEN_CODES)):
        if value not in known:
            raise ModelError(f"conversion: unknown {name} code {value!r}{did_you_mean(value, known)}; "
                             f"allowed: {', '.join(known)}")  # fmt: skip
    wrong = why_not(input_code, hidden_code)
    if wrong:
        raise ModelError(f"conversion: {wrong}")
