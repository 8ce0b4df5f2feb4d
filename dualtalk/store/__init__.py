"""Conversations on disk, ready to train on: a superset of the published DualTalk layout, with a manifest."""

from dualtalk.store.building import Built, Task, build_store
from dualtalk.store.checking import check_store
from dualtalk.store.layout import Draft
from dualtalk.store.store import Store, open_store

__all__ = ["Built", "Draft", "Store", "Task", "build_store", "check_store", "open_store"]
