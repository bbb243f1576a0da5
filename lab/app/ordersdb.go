package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Error numbers of the server.
const (
	duplicateKey  = 1062
	lockWait      = 1205
	deadlock      = 1213
	readOnlyIsSet = 1290 // also looked at when a transaction ends
)

type mariadb struct{ pool *sql.DB }

// openMariaDB connects when it is first needed.
func openMariaDB(address, user, password string) (*mariadb, error) {
	config := mysql.NewConfig()
	config.Net, config.Addr, config.DBName = "tcp", address, "shop"
	config.User, config.Passwd = user, password
	config.Timeout = 500 * time.Millisecond
	config.ReadTimeout, config.WriteTimeout = time.Second, time.Second
	config.InterpolateParams = true
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(40)
	pool.SetMaxIdleConns(40)
	return &mariadb{pool}, nil
}

func (m *mariadb) close() { _ = m.pool.Close() } // Nobody is left whom an error would help.

func (m *mariadb) takesWrites(ctx context.Context) error {
	var readOnly bool
	if err := m.pool.QueryRowContext(ctx, "SELECT @@global.read_only").Scan(&readOnly); err != nil {
		return err
	}
	if readOnly {
		return errors.New("read-only")
	}
	return nil
}

func (m *mariadb) begin(ctx context.Context) (transaction, error) {
	tx, err := m.pool.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &orderTx{tx}, nil
}

type orderTx struct{ tx *sql.Tx }

func (o *orderTx) add(ctx context.Context, id string) (bool, error) {
	_, err := o.tx.ExecContext(ctx, "INSERT INTO orders (request_id) VALUES (?)", id)
	if serverCode(err) == duplicateKey {
		return false, nil
	}
	if err != nil {
		return false, refusal(err)
	}
	// The order's row is ours by now: whatever happens, only our COMMIT could make it stay.
	if _, err := o.tx.ExecContext(ctx, "INSERT INTO outbox (request_id) VALUES (?)", id); err != nil {
		return false, fmt.Errorf("%w: %w", errSureNothing, err)
	}
	return true, nil
}

// refusal marks the server's own word that it did not do it. No answer is not
// such a word, nor is a wait for another transaction with the same id.
func refusal(err error) error {
	if code := serverCode(err); code != 0 && code != lockWait {
		return fmt.Errorf("%w: %w", errSureNothing, err)
	}
	return err
}

func (o *orderTx) commit() error {
	err := o.tx.Commit()
	if code := serverCode(err); code == readOnlyIsSet || code == deadlock {
		return fmt.Errorf("%w: %w", errSureNothing, err)
	}
	return err
}

func (o *orderTx) rollback() { _ = o.tx.Rollback() } // After commit it does nothing; a lost connection rolls back.

// serverCode is the number of an error that the server sent; 0 when it sent none.
func serverCode(err error) uint16 {
	var said *mysql.MySQLError
	if errors.As(err, &said) {
		return said.Number
	}
	return 0
}

// relay moves what is in the outbox to the event log, oldest first, while `here`
// says that the database is this region's own. One relay at a time: the server's lock decides which.
func (m *mariadb) relay(ctx context.Context, here func() bool) error {
	conn, err := m.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	var mine sql.NullBool
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK('shop.relay', 0)").Scan(&mine); err != nil || !mine.Bool {
		return err
	}
	// A pooled connection would keep the lock.
	defer func() { _, _ = conn.ExecContext(context.Background(), "DO RELEASE_LOCK('shop.relay')") }()
	for here() && ctx.Err() == nil {
		moved, err := move(ctx, conn)
		if err != nil {
			return err
		}
		if moved == 0 {
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

// move appends the oldest events in one transaction with their removal from the
// outbox. A read without locks sees what is committed: of one writer with one
// order at a time, always in its order.
func move(ctx context.Context, conn *sql.Conn) (moved int, err error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()
	places, ids, err := oldest(ctx, tx)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	marks := strings.TrimSuffix(strings.Repeat("(?),", len(ids)), ",")
	// IGNORE: an event that is there already, by an earlier delivery, stays where it is.
	if _, err := tx.ExecContext(ctx, "INSERT IGNORE INTO events (id) VALUES "+marks, ids...); err != nil {
		return 0, err
	}
	marks = strings.TrimSuffix(strings.Repeat("?,", len(places)), ",")
	if _, err := tx.ExecContext(ctx, "DELETE FROM outbox WHERE n IN ("+marks+")", places...); err != nil {
		return 0, err
	}
	return len(ids), tx.Commit()
}

// oldest are this server's own: where two servers take writes, each numbers its
// rows apart, and relays only those; the other one's have come by replication.
func oldest(ctx context.Context, tx *sql.Tx) (places, ids []any, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT n, request_id FROM outbox WHERE "+
		"(n - @@auto_increment_offset) % @@auto_increment_increment = 0 ORDER BY n LIMIT 200")
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var n int64
		var id string
		if err := rows.Scan(&n, &id); err != nil {
			return nil, nil, err
		}
		places, ids = append(places, n), append(ids, id)
	}
	return places, ids, rows.Err()
}
