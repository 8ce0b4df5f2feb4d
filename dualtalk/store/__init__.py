"""Conversations on disk, ready to train on: a superset of the published DualTalk layout, with a manifest."""

from dualtalk.store.schema import Draft
from dualtalk.store.store import Store, open_store
from dualtalk.store.validation import check_store
from dualtalk.store.writer import Built, Task, build_store

__all__ = ["Built", "Draft", "Store", "Task", "build_store", "check_store", "open_store"]
