#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# First process of the guest in which Linux's virtio_net is tried: loads the modules in the order of /modules,
# then does what the kernel's command line asks for and tells the console about it, a line each time.
#
#   ringproof=WORD,WORD,...   what to do, in this order; the word `loop` starts over
#   ringproof_seconds=N       powers the machine off after so long, whatever it does
#
# Words: static, ping[:COUNT[:BYTES]], pktgen:COUNT[:BYTES], short:COUNT, flood[:BYTES], frags:COUNT[:PIECES],
#        queues:COUNT, tcp[:KIB], udp, dhcp, rebind, updown, sleep[:SECONDS], loop

PARTNER=10.0.0.1
PARTNER_MAC=52:54:00:12:34:01
OWN=10.0.0.2
SINK=9
PG=/proc/net/pktgen

export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
exec </dev/null >/dev/console 2>&1

say() { echo "ringproof: $*"; }

# Starts $2... and stops it after $1 seconds if it has not come to an end.
within() {
    limit=$1; shift
    timeout "$limit" "$@"
}

while read -r module; do
    insmod "/lib/modules/$module" || say "module $module could not be loaded"
done </modules

plan= seconds=
for argument in $(cat /proc/cmdline); do
    case $argument in
        ringproof=*) plan=${argument#*=} ;;
        ringproof_seconds=*) seconds=${argument#*=} ;;
    esac
done
say "Linux $(uname -r) has started, plan ${plan:-none}"
[ -n "$seconds" ] && ( sleep "$seconds"; say "the time is over"; poweroff -f ) &

device() { # the first virtio-net device: its name on the virtio bus
    for path in /sys/bus/virtio/drivers/virtio_net/virtio*; do
        [ -e "$path" ] && basename "$path" && return
    done
}

up() {
    tries=0
    while [ ! -e /sys/class/net/eth0 ] && [ $tries -lt 50 ]; do tries=$((tries + 1)); usleep 100000; done
    [ -e /sys/class/net/eth0 ] || { say "there is no eth0"; return 1; }
    ip link set lo up
    ip link set eth0 up
    ip addr add $OWN/24 dev eth0 2>/dev/null
    say "eth0 is up, address $(cat /sys/class/net/eth0/address), mtu $(cat /sys/class/net/eth0/mtu)," \
        "$(ls -d /sys/class/net/eth0/queues/tx-* | wc -l) transmit queue(s)," \
        "features $(cat "/sys/bus/virtio/devices/$(device)/features")"
}

do_ping() { # COUNT BYTES
    within $((${1:-5} + 5)) ping -q -c "${1:-5}" -s "${2:-56}" -i 0.1 -W 1 $PARTNER >/tmp/ping
    say "ping $(sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) .*/sent \1 answered \2/p' /tmp/ping)"
}

# Takes all devices from pktgen's threads, and waits: they do it when they come to it, new devices included.
clear_pktgen() {
    tries=0
    ls $PG/eth0* >/dev/null 2>&1 || return 0
    for thread in $PG/kpktgend_*; do echo rem_device_all >"$thread"; done
    while ls $PG/eth0* >/dev/null 2>&1 && [ $tries -lt 100 ]; do tries=$((tries + 1)); usleep 100000; done
    usleep 300000
}

# pktgen: one thread each on the first $1 processors, each on its own queue if there are several.
pktgen() { # THREADS COUNT BYTES PIECES LIMIT
    threads=$1 count=$2 bytes=$3 pieces=$4 limit=$5 names=
    [ -d $PG ] || { say "pktgen is not there"; return; }
    clear_pktgen
    i=0
    while [ $i -lt "$threads" ]; do
        name=eth0@$i; names="$names $name"
        echo "add_device $name" >"$PG/kpktgend_$i" || { say "pktgen takes no device on processor $i"; return; }
        for order in "count $count" "pkt_size $bytes" "delay 0" "clone_skb 0" "dst $PARTNER" \
                "dst_mac $PARTNER_MAC" "src_min $OWN" "src_max $OWN" "udp_dst_min $SINK" "udp_dst_max $SINK" \
                "queue_map_min $i" "queue_map_max $i" "frags $pieces"; do
            echo "$order" >"$PG/$name" 2>/dev/null || say "pktgen refuses: $order"
        done
        i=$((i + 1))
    done
    # Writing `start` comes back when all is sent; it may never be, if the device stops taking frames.
    echo start >$PG/pgctrl &
    starter=$! waited=0
    while kill -0 $starter 2>/dev/null && [ $waited -lt $((limit * 10)) ]; do
        waited=$((waited + 1)); usleep 100000
    done
    if kill -0 $starter 2>/dev/null; then
        echo stop >$PG/pgctrl &
        usleep 500000
        [ "$count" = 0 ] || say "pktgen was stopped after $limit s"
    fi
    for name in $names; do
        sent=$(sed -n 's/.*pkts-sofar: \([0-9]*\)  errors: \([0-9]*\).*/\1 errors \2/p' "$PG/$name")
        say "pktgen $name sent ${sent:-nobody knows how many} bytes $bytes pieces $pieces"
    done
}

do_tcp() { # KIB
    dd if=/dev/zero bs=1024 count="${1:-1024}" 2>/dev/null | within 12 nc -w 5 $PARTNER $SINK >/dev/null
    say "tcp ended with $?, $(awk '/^Tcp: [0-9]/ { print $12 " segments sent " $13 " again" }' /proc/net/snmp)"
}

do_udp() { # the kernel's own datagrams, with a checksum left to the device where it may be
    within 4 traceroute -n -q 2 -m 1 -w 1 $PARTNER 200 >/dev/null 2>&1
    say "udp $(awk '/^Udp: [0-9]/ { print $5 " datagrams sent" }' /proc/net/snmp)"
}

do_dhcp() {
    if within 8 udhcpc -i eth0 -n -q -f -t 3 -T 1 -s /bin/true >/tmp/dhcp 2>&1; then
        say "dhcp $(grep -i 'obtained' /tmp/dhcp)"
    else
        say "dhcp was not answered"
    fi
}

do_rebind() {
    name=$(device)
    clear_pktgen
    echo -n "$name" >/sys/bus/virtio/drivers/virtio_net/unbind
    usleep 100000
    echo -n "$name" >/sys/bus/virtio/drivers/virtio_net/bind
    say "the driver was taken from $name and bound to it again"
    up
}

up || { sleep 1; poweroff -f; }
round=0 again=yes
while [ -n "$again" ]; do
    again= round=$((round + 1))
    for word in $(echo "$plan" | tr , ' '); do
        set -- $(echo "$word" | tr : ' ')
        verb=$1; shift
        case $verb in
            static) arp -s $PARTNER $PARTNER_MAC ;;
            ping) do_ping "$@" ;;
            pktgen) pktgen 1 "$1" "${2:-60}" 0 30 ;;
            short) pktgen 1 "$1" 60 0 5 ;;
            flood) pktgen 1 0 "${1:-60}" 0 100000 ;;
            frags) pktgen 1 "$1" 1000 "${2:-4}" 30 ;;
            queues) pktgen "$(nproc)" "$1" 60 0 30 ;;
            tcp) do_tcp "$@" ;;
            udp) do_udp ;;
            dhcp) do_dhcp ;;
            rebind) do_rebind ;;
            updown) ip link set eth0 down; usleep 100000; ip link set eth0 up; say "eth0 went down and up" ;;
            sleep) sleep "${1:-1}" ;;
            loop) again=yes ;;
            *) say "nobody knows the word $verb" ;;
        esac
    done
    say "round $round is over"
done
say "the plan is done"
sync
poweroff -f
