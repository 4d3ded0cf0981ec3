#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Hosts that have more interfaces than the one that joins them, as clusters do: a second network that does not reach the
# peers, container bridges with the same address on every host, a second link:
# interface_hosts_test.sh <path of tools/hosts> <path of sign_all_reduce_perf>. Exit status 77 if no hosts can be made
# here.
set -uo pipefail
# shellcheck source=tests/tools/hosts_expectations.sh
source "${0%/*}/hosts_expectations.sh"
readonly perf=$2
export SIGNCCL_TIMEOUT=20

# in_host <host> <arguments of ip>...
in_host() { ip -n "$setup-h$1" "${@:2}"; }

# add_link <host> <interface> <address>: an Ethernet link that is up and leads nowhere.
add_link() {
  in_host "$1" link add "$2" type veth peer name "$2-end"
  in_host "$1" link set "$2-end" addrgenmode none up
  in_host "$1" link set "$2" addrgenmode none up
  in_host "$1" addr add "$3" dev "$2"
}

# add_bridge <host> <interface> <address>: a bridge with a container behind it, so that it has a carrier.
add_bridge() {
  in_host "$1" link add "$2" type bridge
  in_host "$1" link add "$2-p" type veth peer name "$2-c"
  in_host "$1" link set "$2-p" master "$2" addrgenmode none up
  in_host "$1" link set "$2-c" addrgenmode none up
  in_host "$1" link set "$2" addrgenmode none up
  in_host "$1" addr add "$3" dev "$2"
}

# add_rail <interface> <subnet>: a second network that joins all hosts.
add_rail() {
  local host
  ip -n "$setup-sw" link add "rail-$1" type bridge mcast_snooping 0
  ip -n "$setup-sw" link set "rail-$1" addrgenmode none up
  for host in 0 1; do
    ip link add "$1-$host" netns "$setup-sw" type veth peer name "$1" netns "$setup-h$host"
    ip -n "$setup-sw" link set "$1-$host" master "rail-$1" addrgenmode none up
    in_host "$host" link set "$1" addrgenmode none up
    in_host "$host" addr add "$2.$((host + 1))/24" dev "$1"
  done
}

# remove <interface>: of both hosts, with what is behind it.
remove() {
  local host
  for host in 0 1; do
    in_host "$host" link del "$1"
    in_host "$host" link del "$1-p" 2>/dev/null
  done
}

readonly vote=("$perf" -b 32 -e 4M -f 131072 -n 2 -w 1 -c 1 -o vote)

# shellcheck disable=SC2317 # called by status_of
# run_vote <setting>...: two hosts with two ranks each vote, with small and large vectors.
run_vote() {
  env "$@" "$tool" --name "$setup" run --per-host 2 --timeout 60 --quiet "${vote[@]}"
}

# votes <sentence> <command>...
votes() {
  expect "$1" 0 "$(status_of "${@:2}")"
  [[ -s $work/err ]] && sed 's/^/  says: /' "$work/err"
}

networks_that_do_not_reach_the_peers_are_not_used() {
  add_link 0 mgmt0 192.168.50.1/24
  add_link 1 mgmt0 192.168.51.1/24
  votes "a second network with another subnet on each host" run_vote
  remove mgmt0
  add_link 0 mgmt0 192.168.50.1/24
  votes "a second network that one host has alone" run_vote
  in_host 0 link del mgmt0
  add_link 0 mgmt0 192.168.50.1/24
  add_link 1 mgmt0 192.168.50.1/24
  votes "a second network with the same address on each host" run_vote
  remove mgmt0
}

bridges_of_containers_are_not_used() {
  local name
  for name in cni0 podman0 lxcbr0 flannel.1 br0; do
    add_bridge 0 "$name" 10.88.0.1/16
    add_bridge 1 "$name" 10.88.0.1/16
    votes "a bridge $name with the same address on each host" run_vote
    remove "$name"
    add_bridge 0 "$name" 10.88.0.1/16
    add_bridge 1 "$name" 10.88.0.2/16
    votes "a bridge $name with addresses of one subnet that it does not join" run_vote
    remove "$name"
  done
}

# The first host reaches the meeting point, which is its own, without leaving itself: its name means a loopback address
# there, as Debian's installer sets it up.
host_of_the_meeting_point_uses_the_network_of_the_others() {
  add_link 0 mgmt0 192.168.50.1/24
  add_link 1 mgmt0 192.168.51.1/24
  echo '127.0.1.1 master' >"$work/names.0"
  echo '10.99.0.1 master' >"$work/names.1"
  # shellcheck disable=SC2016 # expanded in the hosts
  votes "a name that is a loopback address on its own host" env SIGNCCL_COMM_ID=master:23456 \
    "$tool" --name "$setup" run --per-host 2 --timeout 60 --quiet unshare --mount sh -c \
    'mount --bind "$0.$((RANK / 2))" /etc/hosts && exec "$@"' "$work/names" "${vote[@]}"
  remove mgmt0
}

# Makes eth0 anew, so that the kernel lists it after the interfaces that are there.
renew_eth0() {
  local host
  for host in 0 1; do
    in_host "$host" link del eth0
    ip link add "v$host" netns "$setup-sw" type veth peer name eth0 netns "$setup-h$host"
    ip -n "$setup-sw" link set "v$host" master br0 addrgenmode none up
    in_host "$host" link set eth0 addrgenmode none up
    in_host "$host" addr add "10.99.0.$((host + 1))/24" dev eth0
  done
}

ranks_find_each_other_behind_the_first_interface() {
  add_link 0 mgmt0 192.168.50.1/24
  add_link 1 mgmt0 192.168.51.1/24
  renew_eth0
  expect "the other network comes first" mgmt0 "$(in_host 0 -4 -o addr show scope global | awk 'NR == 1 { print $2 }')"
  votes "a first network with another subnet on each host" run_vote
  votes "the same, where the user says where to meet" run_vote SIGNCCL_COMM_ID=10.99.0.1:23457
  remove mgmt0
  add_link 0 mgmt0 192.168.50.1/24
  add_link 1 mgmt0 192.168.50.1/24
  renew_eth0
  votes "a first network with the same address on each host" run_vote
  remove mgmt0
}

an_interface_that_the_user_names_is_used() {
  local before after
  add_rail rail0 10.77.0
  before=$(in_host 0 -s -j link show rail0)
  votes "a second network that joins the hosts" run_vote
  after=$(in_host 0 -s -j link show rail0)
  expect "it carries nothing" yes "$( (($(sent "$after") - $(sent "$before") < 100000)) && echo yes)"
  before=$after
  votes "the same, with its interface named" run_vote SIGNCCL_SOCKET_IFNAME=rail0
  after=$(in_host 0 -s -j link show rail0)
  expect "it carries the votes" yes "$( (($(sent "$after") - $(sent "$before") > 100000)) && echo yes)"
  votes "two interfaces named" run_vote SIGNCCL_SOCKET_IFNAME=eth0,rail0
}

# sent <what ip -s -j link show prints>: bytes.
sent() { sed -E 's/.*"tx":\{"bytes":([0-9]+).*/\1/' <<<"$1"; }

errors_name_interface_address_and_setting() {
  local rank
  add_link 0 mgmt0 192.168.50.1/24
  add_link 1 mgmt0 192.168.51.1/24
  expect "an interface that leads elsewhere fails" 1 \
    "$(status_of run_vote SIGNCCL_SOCKET_IFNAME=^lo UCX_NET_DEVICES=mgmt0)"
  for rank in 0 1 2 3; do
    expect_match "rank $rank names interfaces, addresses and settings" \
      "is at .*eth0 10.99.0.[12].*, rank [0-3] at .*eth0 10.99.0.[12].*; SIGNCCL_SOCKET_IFNAME=name chooses .*UCX_NET_DEVICES=mgmt0" \
      "$(grep -F "[$rank]:" "$work/err")"
  done
  remove mgmt0
}

status=$(status_of hosts up 2 none)
if ((status == 77)); then cat "$work/err" && exit 77; fi
expect "up" 0 "$status"
networks_that_do_not_reach_the_peers_are_not_used
bridges_of_containers_are_not_used
host_of_the_meeting_point_uses_the_network_of_the_others
errors_name_interface_address_and_setting
ranks_find_each_other_behind_the_first_interface
an_interface_that_the_user_names_is_used
finish
