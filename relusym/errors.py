"""The errors a user can cause; each says which object, what happened, and what to do next."""


class RelusymError(Exception):
    """Base of every error a user can cause."""


class InvalidActivation(RelusymError, ValueError):
    """A definition, formula or parameter value that describes no function."""


class InvalidSubgradient(RelusymError, ValueError):
    """A chosen derivative at a kink that lies outside the Clarke interval, or a policy nobody knows."""


class InvalidRequest(RelusymError, ValueError):
    """A name, dtype, target, quantity or option that does not exist; the message lists those that do."""


class Undecided(RelusymError, ArithmeticError):
    """A question that the exact tools could not settle within their limits; never turned into a guess."""


class Missing(RelusymError, RuntimeError):
    """Something the request needs is not on this machine: a GPU, a compiler, a package."""
