#!/bin/sh
# Tells over the second serial port what came up: the boot check reads it there.
#
# Usage: probe.sh TOKEN. Every line is `h2k TOKEN KEY TEXT`, a report ends with `h2k TOKEN end NUMBER`.
# Only the shell, uname, sleep, systemctl and journalctl are used: minimal and old systems have no more.

PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
token=$1

say() {
    printf 'h2k %s %s\n' "$token" "$*"
}

first_line() {
    line=
    read -r line 2>/dev/null <"$1"
    printf '%s' "$line"
}

target() {
    for name in emergency rescue multi-user; do
        if systemctl is-active --quiet "$name.target"; then
            say target "$name"
            return
        fi
    done
    say target none
}

interfaces() {
    for folder in /sys/class/net/*; do
        if [ -e "$folder/address" ]; then
            say net "${folder##*/}" "$(first_line "$folder/address")" "$(first_line "$folder/operstate")"
        fi
    done
    while read -r line; do
        say route "$line"
    done </proc/net/route
    if [ -e /proc/net/if_inet6 ]; then
        while read -r line; do
            say inet6 "$line"
        done </proc/net/if_inet6
    fi
    address=
    while read -r mark rest; do
        case "$mark $rest" in
        "|-- "*) address=$rest ;;
        "/32 host LOCAL") say inet4 "$address" ;;
        esac
    done </proc/net/fib_trie
}

storage() {
    while read -r line; do
        case $line in
        *" / / "* | *" - "*" /dev/"*) say mount "$line" ;;
        esac
    done </proc/self/mountinfo
    for folder in /sys/class/block/*; do
        case $folder in
        */loop* | */ram* | */zram*) continue ;;
        esac
        below=
        for slave in "$folder"/slaves/*; do
            [ -e "$slave" ] && below="$below ${slave##*/}"
        done
        mapped=-
        [ -e "$folder/dm/name" ] && mapped=$(first_line "$folder/dm/name")
        say block "${folder##*/}" "$(first_line "$folder/dev")" "$mapped$below"
    done
}

units() {
    systemctl --failed --no-legend --no-pager 2>/dev/null | while read -r line; do
        say failed "$line"
    done
}

complaints() {
    if ! systemctl is-active --quiet multi-user.target; then
        journalctl -b -p warning -o cat --no-pager -n 500 2>/dev/null | while read -r line; do
            case $line in
            "Timed out waiting "* | "Dependency failed "* | "Failed to "*) say log "$line" ;;
            esac
        done
    fi
}

number=0
exec >/dev/ttyS1
while [ "$number" -lt 14 ]; do
    target
    say kernel "$(uname -r)"
    say uptime "$(first_line /proc/uptime)"
    interfaces
    storage
    units
    complaints
    say end "$number"
    number=$((number + 1))
    sleep 5
done
