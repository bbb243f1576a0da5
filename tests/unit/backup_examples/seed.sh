# As documents on multi-cluster backups show it: one installation, a daily backup, a restore into a second cluster.
velero install \
  --provider aws \
  --plugins velero/velero-plugin-for-aws:v1.8.0 \
  --bucket velero-backups \
  --backup-location-config region=us-east-1 \
  --snapshot-location-config region=us-east-1

velero schedule create daily-backup \
  --schedule="0 2 * * *" \
  --include-namespaces production

velero restore create --from-backup daily-backup-20231020 \
  --namespace-mappings production:production-restored \
  --kubeconfig cluster2.yaml
