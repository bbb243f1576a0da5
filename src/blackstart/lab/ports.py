"""Where parts of a region listen: mesh, stores, observers. istiod and the gateway's administration: inside only."""

GATEWAY = 8088
GATEWAY_ADMIN = 15000
ISTIOD = 15080
ISTIOD_METRICS = 15014
XDS = 15010

MARIADB = 3306
REDIS = 6379

PROMETHEUS = 9090
STORE_API = 10901
SIDECAR = 10902

QUERIER_STORE_API = 10903
QUERIER = 10904
"""In the observer's namespace; a Prometheus of its own is at PROMETHEUS there."""
