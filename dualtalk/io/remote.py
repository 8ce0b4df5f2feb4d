"""Folders behind a URL, such as s3://bucket/folder: any file system of fsspec, which enters here.

An object of a store such as S3 appears only when it is complete: files are uploaded under their final name.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dualtalk.errors import InputError, WriteError, missing_extra
from dualtalk.io.atomic import written_whole


def is_url(path: str | os.PathLike) -> bool:
    """Whether `path` is a URL; local paths have no "://"."""
    return "://" in str(path)


class RemoteFolder:
    """A folder of files behind a URL; names of files are relative, with slashes.

    Raises
    ------
    InputError
        The URL has an unknown protocol, or cannot be read; `WriteError` if it cannot be written.
    SetupError
        The package for its protocol is not installed.
    """

    def __init__(self, url: str | os.PathLike) -> None:
        try:
            import fsspec
        except ModuleNotFoundError as error:
            raise missing_extra("a store or shards behind a URL", "cloud", error) from error
        self.url = str(url).rstrip("/")
        try:
            self._files, self._root = fsspec.core.url_to_fs(self.url)
        except ImportError as error:
            raise missing_extra(self.url, "cloud", error) from error
        except ValueError as error:
            raise InputError(f"{self.url} cannot be used: {error}") from error
        self._root = self._root.rstrip("/")

    def names(self) -> list[str]:
        """Every file in the folder and below, sorted."""
        with self._reported("read", InputError):
            self._files.invalidate_cache()
            if not self._files.exists(self._root):
                return []
            return sorted(path[len(self._root) + 1 :] for path in self._files.find(self._root))

    def download(self, names: Iterable[str], folder: Path) -> None:
        """Copy files into a local folder that nobody else reads, many at a time where the file system can."""
        wanted = list(names)
        for parent in {(folder / name).parent for name in wanted}:
            parent.mkdir(parents=True, exist_ok=True)
        if wanted:
            with self._reported("read", InputError):
                self._files.get(
                    [f"{self._root}/{name}" for name in wanted], [str(folder / name) for name in wanted]
                )

    def upload(self, path: Path, name: str) -> None:
        """Copy a local file to `name`."""
        with self._reported("write", WriteError):
            # Object stores have no folders, and s3fs would create a missing bucket.
            if not getattr(self._files, "async_impl", False):
                self._files.makedirs(f"{self._root}/{name}".rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(path), f"{self._root}/{name}")

    def remove(self, names: Iterable[str]) -> None:
        """Remove files."""
        paths = [f"{self._root}/{name}" for name in names]
        if paths:
            with self._reported("write", WriteError):
                self._files.rm(paths)

    @contextmanager
    def _reported(self, verb: str, kind: type[InputError]) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # Clients of object stores raise their own errors, such as missing credentials.
            client = type(error).__module__.partition(".")[0] in ("aiobotocore", "aiohttp", "botocore")
            if not client and not isinstance(error, OSError):
                raise
            reason = " ".join(str(error).split()) or type(error).__name__
            raise kind(f"cannot {verb} {self.url}: {reason}") from error


@contextmanager
def written_in(folder: str | os.PathLike, name: str) -> Iterator[Path]:
    """Yield a temporary local path; on success, its content becomes the file `name` of a folder or URL."""
    if not is_url(folder):
        with written_whole(Path(folder) / name) as partial:
            yield partial
        return
    with tempfile.TemporaryDirectory() as scratch:
        partial = Path(scratch) / Path(name).name
        yield partial
        RemoteFolder(folder).upload(partial, name)
