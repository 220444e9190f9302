#!/usr/bin/env bash
# What tests/clients wants of others, as far as Debian and root can give it: PostgreSQL for Patroni, and Prometheus.
# (Node, too, but Debian's npm is hundreds of packages: whoever has it has it.)
#
# Prints the names of what is there afterwards; whoever exports them as ETCDPY_MUST_HAVE has those tests fail, not skip.
#
# Nothing is started: a cluster of PostgreSQL is not made, and Prometheus is only unpacked, into .clients/debian.
cd "$(dirname "$0")/.."
folder=.clients/debian

has_postgresql() { ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1
has_prometheus() { command -v prometheus && command -v promtool || [ -x $folder/usr/bin/promtool ]; } >/dev/null 2>&1
has_node() { command -v node && command -v npm && timeout 20 npm view etcd3@1.1.2 version; } >/dev/null 2>&1

install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; }

install_postgresql() {
  install postgresql-common || return
  sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
  install postgresql
}

unpack_prometheus() {
  mkdir -p $folder && (cd $folder && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb)
}

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! { has_postgresql && has_prometheus; }; then
  {
    apt-get update -qq
    has_postgresql || install_postgresql
    has_prometheus || unpack_prometheus
  } >&2 2>&1
fi
for what in postgresql prometheus node; do
  has_$what && echo $what
done
true
