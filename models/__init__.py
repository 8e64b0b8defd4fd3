"""Numbers in, numbers out: BTYD, the two-part model, tiers, drivers, the bundle. No I/O but save and load, no HTTP."""

import os

# LightGBM's threads, when they wait for one another, otherwise spin: on a busy machine that makes fitting ten times slower.
# It must be said before the OpenMP library is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
