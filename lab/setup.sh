#!/bin/sh
# Installs the Debian packages that the lab lacks. Starts none of their services and leaves none enabled.
# Quick when nothing is missing. Needs root and apt (Debian 12 or later, Ubuntu 24.04 or later).
set -eu
PATH=$PATH:/usr/sbin:/sbin

missing=""
need() { # need PACKAGE FILE...: the package is missing when none of its files is there
    package=$1
    shift
    for file in "$@"; do
        case $file in
            /*) [ -e "$file" ] && return ;;
            *) command -v "$file" >/dev/null && return ;;
        esac
    done
    missing="$missing $package"
}
need containerd containerd
need runc runc
need containernetworking-plugins /usr/lib/cni/ptp /opt/cni/bin/ptp
need prometheus prometheus
need nftables nft
need iproute2 ip
need util-linux nsenter
need mount mount
# The stores of `lab up --data`; mariadb-server would bring a service.
need mariadb-server-core mariadbd
need mariadb-client-core mariadb
need mariadb-client mariadb-dump
need redis-server redis-server
[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ]; then
    echo "setup.sh: missing packages:$missing; run as root: sh $0" >&2
    exit 1
fi
if ! command -v apt-get >/dev/null; then
    echo "setup.sh: missing:$missing, and this is no Debian: install them by hand" >&2
    exit 1
fi

# Package scripts ask policy-rc.d before they start a service; 101 means no.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    trap 'exit 1' INT TERM
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
fi

export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 $missing >/dev/null; }
apt-cache show $missing >/dev/null 2>&1 || apt-get update -qq
# Lists may be older than the mirror: once more with fresh ones.
install || { apt-get update -qq && install; }

if command -v systemctl >/dev/null; then
    for package in $missing; do
        case $package in
            containerd | prometheus | redis-server) systemctl disable --now --quiet "$package.service" 2>/dev/null || true ;;
        esac
    done
fi
echo "installed:$missing"
