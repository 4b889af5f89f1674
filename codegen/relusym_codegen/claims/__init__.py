"""Claims of textbooks and papers about activations, put to the test: proved, measured, limited, refuted or quoted.

One file, one group of claims, each with its statement, its source and how it is settled. Proofs and refutations come
from `relusym.prove` and the facts of `analyse`; measurements are seeded, and made with kernels of ours on NumPy arrays.
"""

from relusym_codegen.claims.collection import CLAIMS, Outcome, chosen, outcome_of, settle
from relusym_codegen.claims.statements import FULL, QUICK, Claim, Effort, Evidence, Measurement, Ruling, Settled

__all__ = [
    "CLAIMS",
    "FULL",
    "QUICK",
    "Claim",
    "Effort",
    "Evidence",
    "Measurement",
    "Outcome",
    "Ruling",
    "Settled",
    "chosen",
    "outcome_of",
    "settle",
]
