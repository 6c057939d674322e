"""What can go wrong, said in one paragraph each: what, where, and how to mend it.

Every error is a :class:`SurveyError` and a builtin besides, so that callers may catch either.
"""

from __future__ import annotations


class SurveyError(Exception):
    """The root of every error this product raises on purpose."""


class JobError(SurveyError, ValueError):
    """A job file, an option or a rule file asks for something impossible (exit code 2)."""


class ImageryError(SurveyError, OSError):
    """A raster that cannot be surveyed: unreadable, without georeference, too coarse, lacking bands."""


class DistrictError(SurveyError, ValueError):
    """District boundaries that cannot be used: missing field, invalid, empty or overlapping geometry."""


class LayerError(SurveyError, ValueError):
    """A table does not fit the layer it claims to be: column, dtype, domain or CRS."""


class ModelError(SurveyError, ValueError):
    """A model file that is refused: wrong type, damaged, too large, or made for other bands."""


class MemoryFolderError(SurveyError, RuntimeError):
    """An object memory or a model register cannot be used: damaged, of a newer version, or held by another process."""


class JournalError(SurveyError, RuntimeError):
    """The resume state of a job cannot be used: damaged, of another job, or in use by another run."""


class OutputError(SurveyError, OSError):
    """An output cannot be written: no permission, no space, or the file is open elsewhere."""


class LedgerError(SurveyError, ValueError):
    """Clearance records that cannot be taken into the ledger; says row and column of every one."""
