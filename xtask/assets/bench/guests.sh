# SPDX-License-Identifier: GPL-2.0-only
#
# Creates and destroys guests between markers for count.c. They stay paused, so that nothing
# that they do is counted; what the tools say goes to a file, for Xen carries dom0's console.
#
# Whoever reads the console relies on these lines:
#   @@row NAME rc=N             (after each region, in the order of the regions)

for round in 1 2 3; do
    for mib in 256 2048; do
        sed "s/^memory = .*/memory = $mib/" /guest/guest.cfg > /tmp/bench.cfg

        /xtask/mark begin
        xl create -p /tmp/bench.cfg > /tmp/bench.log 2>&1
        rc=$?
        /xtask/mark end
        echo "@@row xl-create-${mib}m rc=$rc"
        [ $rc = 0 ] || cat /tmp/bench.log

        /xtask/mark begin
        xl destroy guest > /tmp/bench.log 2>&1
        rc=$?
        /xtask/mark end
        echo "@@row xl-destroy-${mib}m rc=$rc"
        # What is left to be done then is no part of the next region.
        sleep 3
    done
done
