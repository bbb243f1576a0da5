package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	dumpFolder = "/etc/dumps"
	dumpLimit  = 20 * time.Second
	// Rows of one INSERT.
	rowsAtOnce = 500
)

var escape = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`)

// dumpOrders is what a hook before a backup runs: it writes what the database holds, as of one
// moment, as SQL into the bucket at the environment's DUMPS (URL of a folder), and says how many
// rows that are.
func dumpOrders(to string, say io.Writer) error {
	if to == "" {
		return fmt.Errorf("the environment lacks DUMPS, the URL of a folder in a bucket")
	}
	found := map[string]string{}
	for name, path := range map[string]string{
		"address":  storesFolder + "/orders-db",
		"password": secretsFolder + "/orders-db",
		"access":   dumpFolder + "/access-key",
		"secret":   dumpFolder + "/secret-key",
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found[name] = strings.TrimSpace(string(text))
	}
	db, err := openMariaDB(found["address"], storesUser, found["password"])
	if err != nil {
		return err
	}
	defer db.close()
	ctx, cancel := context.WithTimeout(context.Background(), dumpLimit)
	defer cancel()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	rows, err := writeDump(ctx, db.pool, zip, time.Now())
	if err != nil {
		return err
	}
	if err := zip.Close(); err != nil {
		return err
	}
	key := fmt.Sprintf("%s/shop-%s.sql.gz", strings.TrimSuffix(to, "/"), time.Now().UTC().Format("20060102T150405.000Z"))
	if err := put(ctx, key, packed.Bytes(), aws.Credentials{AccessKeyID: found["access"], SecretAccessKey: found["secret"]}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(say, "%s: %d rows\n", key, rows)
	return err
}

// writeDump writes both tables as one transaction sees them, as mysqldump would.
func writeDump(ctx context.Context, pool *sql.DB, to io.Writer, now time.Time) (rows int, err error) {
	tx, err := pool.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := io.WriteString(to, "-- Dump of shop\nUSE `shop`;\n"); err != nil {
		return 0, err
	}
	for table, columns := range map[string]string{
		"orders": "n, request_id, placed",
		"events": "position, id, appended",
	} {
		found, err := writeTable(ctx, tx, to, table, columns)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", table, err)
		}
		rows += found
	}
	_, err = fmt.Fprintf(to, "-- Dump completed on %s\n", now.UTC().Format(time.DateTime))
	return rows, err
}

func writeTable(ctx context.Context, tx *sql.Tx, to io.Writer, table, columns string) (count int, err error) {
	rows, err := tx.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s", columns, table))
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var number int64
		var id, at string
		if err := rows.Scan(&number, &id, &at); err != nil {
			return 0, err
		}
		before := ",\n"
		if count%rowsAtOnce == 0 {
			before = fmt.Sprintf("INSERT INTO `%s` VALUES\n", table)
			if count > 0 {
				before = ";\n" + before
			}
		}
		count++
		if _, err := fmt.Fprintf(to, "%s(%d,'%s','%s')", before, number, escape.Replace(id), escape.Replace(at)); err != nil {
			return 0, err
		}
	}
	if err := rows.Err(); err != nil || count == 0 {
		return 0, err
	}
	_, err = io.WriteString(to, ";\n")
	return count, err
}

// put writes an object of an S3 server.
func put(ctx context.Context, url string, body []byte, login aws.Credentials) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	request.Header.Set("X-Amz-Content-Sha256", digest)
	if err := v4.NewSigner().SignHTTP(ctx, login, request, digest, "s3", "us-east-1", time.Now()); err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return nil
}
