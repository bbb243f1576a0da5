"""Where the parts of a region listen: its mesh, stores, observers, Velero; and the bucket.

istiod, the gateway's administration and Velero's metrics: inside only.
"""

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

S3 = 9000
VELERO_METRICS = 8085
