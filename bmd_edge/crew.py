"""The former place of `Crew`, for one version: it is `bmd_edge.Crew`."""

import warnings

from bmd_edge.screen.workers import Crew as Crew

warnings.warn("bmd_edge.crew goes away: import Crew from bmd_edge", DeprecationWarning, stacklevel=2)
