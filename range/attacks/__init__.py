"""The malicious families: bounded imitations, each a function of a host and of its settings.

All targets are namespaces of the same world. Nothing here exploits anything: these are ordinary
sockets and ordinary tools, used in the pattern of an attack, for a fixed count.
"""

from attacks import intrude, leak, reconnoitre, starve

ATTACKS = {
    "scan": reconnoitre.scan,
    "sweep": reconnoitre.sweep,
    "bruteforce": intrude.bruteforce,
    "half-open": starve.half_open,
    "slow-headers": starve.slow_headers,
    "beacon": leak.beacon,
    "exfil": leak.exfil,
    "dns-tunnel": leak.dns_tunnel,
}
