# An Active-Active database, or so it is hoped.
rladmin create db sessions memory-size 1GB \
  replication false \
  crdt true \
  crdt-replica-id 1
