"""Training data: windows of conversations, both people always together, from a store or from shards."""

from dualtalk.data.module import ConversationData
from dualtalk.data.shards import ShardedWindows, write_shards
from dualtalk.data.windows import StoreWindows, Window

__all__ = ["ConversationData", "ShardedWindows", "StoreWindows", "Window", "write_shards"]
