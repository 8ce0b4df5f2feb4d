"""Build a synthetic corpus on a Ray cluster of three nodes, one of which is killed half-way, behind an S3 server.

The store must equal the one of this process byte for byte. Then shards are written beside it, and the windows that
training would read come from them.

Run: python experiments/cluster/measure.py --hours 0.07 --clip-seconds 20
"""

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path

import fsspec
import ray
from moto.server import ThreadedMotoServer
from ray.cluster_utils import Cluster

from dualtalk.choices import RayCluster
from dualtalk.data import ShardedWindows, write_shards
from dualtalk.store import open_store
from dualtalk.synthesis import synthesize

URL = "s3://corpora"


def local_files(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def remote_files(url: str) -> dict[str, bytes]:
    files, root = fsspec.core.url_to_fs(url)
    files.invalidate_cache()
    return {path.removeprefix(f"{root}/"): files.cat_file(path) for path in files.find(root)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--clip-seconds", type=int, default=60)
    options = parser.parse_args()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    os.environ.update(variables, RAY_USAGE_STATS_ENABLED="0")
    fsspec.filesystem("s3").mkdir(URL)

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    killed = threading.Event()

    def progress(done: int, total: int) -> None:
        if done >= total / 2 and not killed.is_set():
            killed.set()
            cluster.remove_node(nodes[0], allow_graceful=False)
            print(f"a node was killed after {done} of {total} clips", flush=True)

    start_s = time.perf_counter()
    report = synthesize(
        f"{URL}/store",
        options.hours,
        clip_seconds=options.clip_seconds,
        workers=RayCluster(cluster.address),
        progress=progress,
    )
    print(f"cluster: {report.made} clips in {time.perf_counter() - start_s:.0f} s", flush=True)
    assert killed.is_set()
    with tempfile.TemporaryDirectory() as folder:
        start_s = time.perf_counter()
        synthesize(Path(folder) / "store", options.hours, clip_seconds=options.clip_seconds, workers=0)
        print(f"one process: {time.perf_counter() - start_s:.0f} s", flush=True)
        here, there = local_files(Path(folder) / "store"), remote_files(f"{URL}/store")
    size = sum(map(len, there.values()))
    print(f"{len(there)} objects, {size / 1e6:.1f} MB; the same bytes: {here == there}", flush=True)
    names = write_shards(open_store(f"{URL}/store"), f"{URL}/shards", 4, workers=RayCluster(cluster.address))
    windows = list(ShardedWindows(f"{URL}/shards", "train", 200))
    print(f"{len(names)} shards; {len(windows)} windows of 8 s read from them")
    ray.shutdown()
    cluster.shutdown()
    server.stop()


if __name__ == "__main__":
    main()
