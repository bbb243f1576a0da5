"""Where the parts of a region's mesh listen, and its stores. istiod and the gateway's administration: inside only."""

GATEWAY = 8088
GATEWAY_ADMIN = 15000
ISTIOD = 15080
ISTIOD_METRICS = 15014
XDS = 15010

MARIADB = 3306
REDIS = 6379
