"""Training data: windows of conversations, both people always together, from a store or from shards.

`dualtalk.data.module.ConversationData` is the LightningDataModule that yields them in batches.
"""

from dualtalk.data.shards import ShardedWindows, write_shards
from dualtalk.data.windows import StoreWindows, Window

__all__ = ["ShardedWindows", "StoreWindows", "Window", "write_shards"]
