package main

import (
	"context"
	"errors"
	"log"
	"net"
	"os"
	"strings"
	"time"
)

const (
	storesFolder  = "/etc/stores"
	secretsFolder = "/etc/secrets"
	storesUser    = "orders"
)

// serveOrders is order-service: user-service's ways, and POST /orders. The
// environment's OWN_DATABASE is the address of the region's own database.
func serveOrders(config Config, own string, signals <-chan os.Signal) error {
	if own == "" {
		return errors.New("the environment lacks OWN_DATABASE")
	}
	passwords := map[string]string{}
	for _, key := range []string{"orders-db", "orders-cache"} {
		text, err := os.ReadFile(secretsFolder + "/" + key)
		if err != nil {
			return err
		}
		passwords[key] = strings.TrimSpace(string(text))
	}
	found := &stores{
		folder: storesFolder,
		openDB: func(address string) (database, func(), error) {
			db, err := openMariaDB(address, storesUser, passwords["orders-db"])
			if err != nil {
				return nil, nil, err
			}
			return db, db.close, nil
		},
		openCache: func(address string) (cache, func(), error) {
			entries := openRedis(address, storesUser, passwords["orders-cache"])
			return entries, entries.close, nil
		},
		unwritable: "not asked yet",
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go found.watch(ctx)
	go relayAt(ctx, found, own)
	o := &orders{newService(config, time.Now), found}
	return o.run(listener, o.handler(), "order-service", signals)
}

// relayAt relays while the database at `own` is the one that is written to.
func relayAt(ctx context.Context, found *stores, own string) {
	here := func() bool { return found.at() == own && found.sick() == "" }
	for ctx.Err() == nil {
		if db, _, err := found.current(); err == nil && here() {
			if db, ok := db.(*mariadb); ok {
				if err := db.relay(ctx, here); err != nil {
					log.Printf("relay: %v", err)
				}
			}
		}
		time.Sleep(lookEvery)
	}
}
