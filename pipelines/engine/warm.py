"""What the fork server loads before it makes workers, so that they start at once and share what they never change."""

from __future__ import annotations

import gc

import pipelines.engine.parcels

__all__ = ["pipelines"]

# Every object that is there by now is passed over by the collector: looking at one would copy its page in each worker.
gc.collect()
gc.freeze()
