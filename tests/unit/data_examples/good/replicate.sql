CHANGE MASTER TO master_host='db.us.example.com', master_user='replicator',
  master_password='${REPLICATION_PASSWORD}', master_use_gtid=slave_pos;
START SLAVE;
