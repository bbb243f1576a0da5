-- The primary, in region us.
[mysqld]
server-id=1
log-bin=mysql-bin
binlog-do-db=users

-- The replica, in region eu.
[mysqld]
server-id=2
relay-log=mysql-relay-bin

CHANGE MASTER TO
  MASTER_HOST='db.us.example.com',
  MASTER_USER='replicator',
  MASTER_PASSWORD='not-so-secret',
  MASTER_LOG_FILE='mysql-bin.000001',
  MASTER_LOG_POS=107;

START SLAVE;
