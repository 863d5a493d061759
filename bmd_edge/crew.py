"""The former place of `Crew`, for one version: it is `bmd_edge.Crew`."""

import warnings

from bmd_edge.screen.workers import Crew as Crew

# No DeprecationWarning: Python shows those in the script that is run alone.
warnings.warn("bmd_edge.crew goes away: import Crew from bmd_edge", FutureWarning, stacklevel=2)
