"""What is compiled: everything else about the package stands in pyproject.toml.

    transport/http2/_nghttp2.pyx   by Cython, always: the binding to libnghttp2
    [tool.etcdpy.compiled]         by mypyc, from the .py files as they are; with ETCDPY_PURE=1 these run instead

Why, and what it brings: docs/decisions/0004-mypyc.md.
"""

import os
import tomllib
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

nghttp2 = Extension(
    "etcdpy.transport.http2._nghttp2",
    ["src/etcdpy/transport/http2/_nghttp2.pyx"],
    libraries=["nghttp2"],
    extra_compile_args=["-O2"],
)
extensions = cythonize([nghttp2], language_level=3)

if not os.environ.get("ETCDPY_PURE"):
    from mypyc.build import mypycify

    groups = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["etcdpy"]["compiled"]
    extensions += mypycify(
        ["--config-file=tools/mypyc.ini", *[path for group in groups.values() for path in group]],
        opt_level="2",
        debug_level="0",
        # One C file per group, so that two cores have something to do.
        separate=[(group, f"etcdpy.{name}") for name, group in groups.items()],
    )

setup(ext_modules=extensions, options={"build_ext": {"parallel": os.cpu_count() or 1}})
