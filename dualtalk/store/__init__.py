"""Conversations on disk, ready for training: a superset of the published DualTalk layout, with a manifest."""

from dualtalk.store.schema import ClipDraft
from dualtalk.store.store import Store, open_store
from dualtalk.store.validation import validate_store
from dualtalk.store.writer import BuildReport, Rejected, Task, build_store

__all__ = ["BuildReport", "ClipDraft", "Rejected", "Store", "Task", "build_store", "open_store", "validate_store"]
