# The bucket is in a third region, both clusters have Velero, the second one only reads, and names stay what they are.
velero install \
  --provider aws \
  --plugins velero/velero-plugin-for-aws:v1.8.0 \
  --bucket velero-backups \
  --backup-location-config region=eu-central-1 \
  --snapshot-location-config region=us-east-1

velero install --kubeconfig cluster2.yaml \
  --provider aws \
  --plugins velero/velero-plugin-for-aws:v1.8.0 \
  --no-default-backup-location \
  --snapshot-location-config region=eu-west-1

velero backup-location create default --kubeconfig cluster2.yaml \
  --provider aws \
  --bucket velero-backups \
  --config region=eu-central-1 \
  --access-mode ReadOnly \
  --default

velero schedule create half-hourly \
  --schedule="*/30 * * * *" \
  --include-namespaces production \
  --ttl 168h

velero restore create --from-schedule half-hourly --kubeconfig cluster2.yaml
