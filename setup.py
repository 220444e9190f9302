"""Only the compiled island (style rule 15): everything else about the package stands in pyproject.toml."""

from Cython.Build import cythonize
from setuptools import Extension, setup

setup(
    ext_modules=cythonize(
        [
            Extension(
                "etcdpy.transport.http2._nghttp2",
                ["src/etcdpy/transport/http2/_nghttp2.pyx"],
                libraries=["nghttp2"],
                extra_compile_args=["-O2"],
            )
        ],
        language_level=3,
    )
)
