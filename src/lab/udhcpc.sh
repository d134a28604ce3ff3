#!/bin/sh
# What a lab VM does with its DHCP lease: address, routes (option 121, else the router), MTU, resolver; and a note of
# it in $LEASE for the lab. Called by udhcpc with the event as first argument and the lease in the environment.
case "$1" in
deconfig)
  ip -4 addr flush dev "$interface"
  ;;
bound | renew)
  ip addr replace "$ip/$mask" broadcast + dev "$interface"
  [ -n "$mtu" ] && ip link set "$interface" mtu "$mtu"
  if [ -n "$staticroutes" ]; then
    set -- $staticroutes
    while [ $# -ge 2 ]; do
      if [ "$2" = 0.0.0.0 ]; then ip route replace "$1" dev "$interface"; else ip route replace "$1" via "$2" dev "$interface" onlink; fi
      shift 2
    done
  elif [ -n "$router" ]; then
    ip route replace default via "${router%% *}" dev "$interface" onlink
  fi
  mkdir -p "$RESOLV"
  { [ -n "$domain" ] && echo "search $domain"; for server in $dns; do echo "nameserver $server"; done; } >"$RESOLV/resolv.conf"
  echo "$ip/$mask" >"$LEASE"
  ;;
esac
exit 0
