"""The page and the tables that set systems side by side; it may both draw and measure."""

from dualtalk.comparison.clip_table import clip_table
from dualtalk.comparison.report import write_comparison
from dualtalk.comparison.strips import Strip, worst_strips
from dualtalk.comparison.tables import as_json, write_csv
from dualtalk.comparison.timelines import timelines

__all__ = ["Strip", "as_json", "clip_table", "timelines", "worst_strips", "write_comparison", "write_csv"]
