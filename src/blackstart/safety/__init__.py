"""What puts things back whatever dies: locks, Leases, guardians, the watchdog, expiring cuts, recover and status."""
