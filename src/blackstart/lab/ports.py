"""Where the parts of a region's mesh listen, its stores, its Velero, and the bucket.

istiod, the gateway's administration and Velero's metrics: inside only.
"""

GATEWAY = 8088
GATEWAY_ADMIN = 15000
ISTIOD = 15080
ISTIOD_METRICS = 15014
XDS = 15010

MARIADB = 3306
REDIS = 6379

S3 = 9000
VELERO_METRICS = 8085
