# SPDX-License-Identifier: Apache-2.0
# Making and removing setups: the commands `up` and `down` of tools/hosts, which sources this file.
# shellcheck shell=bash
# shellcheck disable=SC2154 # the variables of tools/hosts

# Tries, in namespaces that vanish at once, all that a setup is made of; so that a failure later on is a failure.
require_namespaces() {
  local tool reason
  for tool in ip tc unshare nsenter setpriv; do
    command -v "$tool" >/dev/null || cannot "there is no $tool (packages iproute2 and util-linux)"
  done
  reason=$(unshare --net --uts --ipc --pid --fork --mount-proc sh -ec '
    ip link add br0 type bridge
    ip link add v0 type veth peer name v1
    tc qdisc add dev v0 root tbf rate 1gbit burst 256kb limit 4mb
    mount -t tmpfs none /dev/shm' 2>&1) || cannot "${reason//$'\n'/; }"
}

in_switch() { ip -n "$name-sw" "$@"; }

# kbits <rate>: nothing if it is none.
kbits() {
  [[ ${1,,} =~ ^([0-9]+(\.[0-9]+)?)([kmg])bit$ ]] || return 0
  local -A zeros=([k]=0 [m]=3 [g]=6)
  awk "BEGIN { printf \"%d\", ${BASH_REMATCH[1]} * 10 ^ ${zeros[${BASH_REMATCH[3]}]} }"
}

# check_rate <rate> <what it is for>
check_rate() {
  [[ $1 == none ]] || (($(kbits "$1") + 0 > 0)) || wrong "$2 '$1' is neither none nor a rate such as 100mbit or 1gbit"
}

# shape <namespace> <device> <rate>. A bucket that holds less than what the kernel hands over at once never reaches the
# rate; a queue much shorter than this drops segments of a single connection. 0.8 ms of the rate are enough from 10
# Gbit/s on.
shape() {
  [[ $3 != none ]] || return 0
  local rate burst=256kb limit=4mb
  rate=$(kbits "$3")
  if ((rate > 1000000)); then
    burst=$((rate / 10 > 1048576 ? rate / 10 : 1048576)) && limit=$((8 * burst))
  fi
  if [[ ${option[--queue]} ]]; then burst=${option[--queue]%:*} && limit=${option[--queue]#*:}; fi
  tc -n "$1" qdisc add dev "$2" root tbf rate "${rate}kbit" burst "$burst" limit "$limit"
}

# join <bridge> <bridge> <rate>: a link between two switches.
join() {
  in_switch link add "$1-$2" type veth peer name "$2-$1"
  in_switch link set "$1-$2" master "$1" addrgenmode none up
  in_switch link set "$2-$1" master "$2" addrgenmode none up
  shape "$name-sw" "$1-$2" "$3"
  shape "$name-sw" "$2-$1" "$3"
}

# make_switches <racks> <rate between them>: br0, br1, ...; two are joined directly, more by a bridge of their own.
make_switches() {
  local bridges=() bridge rack
  for ((rack = 0; rack < $1; ++rack)); do bridges+=("br$rack"); done
  (($1 <= 2)) || bridges+=(core)
  ip netns add "$name-sw"
  in_switch link set lo up
  for bridge in "${bridges[@]}"; do
    in_switch link add "$bridge" type bridge mcast_snooping 0
    in_switch link set "$bridge" addrgenmode none up
  done
  # mpirun runs beside the switch and must be reached.
  in_switch addr add "$subnet.254/24" dev br0
  (($1 != 2)) || join br0 br1 "$2"
  (($1 <= 2)) || for bridge in "${bridges[@]:0:$1}"; do join "$bridge" core "$2"; done
}

# make_host <number> <bridge> <rate>
make_host() {
  local host=$name-h$1
  ip netns add "$host"
  ip link add "v$1" netns "$name-sw" type veth peer name eth0 netns "$host"
  in_switch link set "v$1" master "$2" addrgenmode none up
  ip -n "$host" link set lo up
  ip -n "$host" addr add "$subnet.$(($1 + 1))/24" dev eth0
  ip -n "$host" link set eth0 addrgenmode none up
  shape "$host" eth0 "$3"
  shape "$name-sw" "v$1" "$3"
  # `ip netns exec` remounts /sys: without that, libraries list the devices of the outer machine. /dev/shm is private
  # because process ids repeat among hosts, and so do names of segments made from them.
  # shellcheck disable=SC2016
  setsid ip netns exec "$host" unshare --uts --ipc --pid --fork --kill-child --mount-proc bash -ec '
    echo "$0" >/proc/sys/kernel/hostname
    mount -t tmpfs none /dev/shm
    touch "$1/ready.$0"
    sleep infinity & wait' "$host" "$state" </dev/null >/dev/null 2>"$state/$host.log" &
  wait_until 10 test -e "$state/ready.$host" || die "$host did not start: $(<"$state/$host.log")"
  child_of $! >"$state/h$1.pid"
}

up() {
  parse "--racks --queue" "$@"
  ((${#words[@]} == 2)) || wrong "up expects a number of hosts and a rate, not '${words[*]}'"
  local hosts=${words[0]} rate=${words[1]} racks=${option[--racks]:-1:none} queue=${option[--queue]} host
  if [[ ! $hosts =~ ^[1-9][0-9]{0,2}$ ]] || ((hosts > 250)); then wrong "'$hosts' hosts: expected 1 to 250"; fi
  check_rate "$rate" RATE
  [[ $racks =~ ^([1-9][0-9]?):(.+)$ ]] || wrong "--racks '$racks' is not a number of switches and a rate, as in 2:200mbit"
  local nracks=${BASH_REMATCH[1]} trunk=${BASH_REMATCH[2]}
  check_rate "$trunk" "--racks: rate"
  ((nracks <= hosts)) || wrong "--racks: $nracks switches for $hosts hosts"
  [[ -z $queue || $queue =~ ^[0-9]+[a-z]*:[0-9]+[a-z]*$ ]] || wrong "--queue '$queue' is not two sizes, as in 256kb:4mb"
  find_state
  require_namespaces
  [[ ! -e $state ]] || die "setup '$name' is up already; remove it with: tools/hosts --name $name down"
  trap remove_setup EXIT
  mkdir "$state"
  make_switches "$nracks" "$trunk"
  for ((host = 0; host < hosts; ++host)); do make_host "$host" "br$((host * nracks / hosts))" "$rate"; done
  echo "$hosts" >"$state/nhosts"
  # The interfaces claim 10 Gbit/s whatever their shapers let through; a real one would know.
  [[ $rate == none ]] || echo $((($(kbits "$rate") + 999) / 1000)) >"$state/link_mbit"
  trap - EXIT
  echo "$hosts hosts, $name-h0 to $name-h$((hosts - 1)): $subnet.1 to $subnet.$hosts, links of $rate${option[--racks]:+, $nracks switches joined by $trunk}"
}

# Goes by the names of the namespaces, so that it also removes what a killed `up` left.
remove_setup() {
  local namespace pids
  ip netns list 2>/dev/null | awk '{ print $1 }' | { grep -E "^$name-(sw|h[0-9]+)$" || true; } |
    while read -r namespace; do
      mapfile -t pids < <(ip netns pids "$namespace")
      ((${#pids[@]} == 0)) || kill -KILL "${pids[@]}" 2>/dev/null || true
      ip netns del "$namespace"
    done
  rm -rf "$state"
}

down() {
  parse "" "$@"
  ((${#words[@]} == 0)) || wrong "down takes no '${words[*]}'"
  find_state
  remove_setup
}

