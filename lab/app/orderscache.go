package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

type redisCache struct{ client *redis.Client }

// openRedis connects when it is first needed.
func openRedis(address, user, password string) *redisCache {
	return &redisCache{redis.NewClient(&redis.Options{
		Addr:                  address,
		Username:              user,
		Password:              password,
		DialTimeout:           500 * time.Millisecond,
		ReadTimeout:           time.Second,
		WriteTimeout:          time.Second,
		ContextTimeoutEnabled: true,
		MaxRetries:            -1,
		DialerRetries:         1,
		PoolSize:              40,
		DisableIdentity:       true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	})}
}

func (r *redisCache) close() { _ = r.client.Close() } // Nobody is left whom an error would help.

func (r *redisCache) put(ctx context.Context, id string) error {
	return r.client.Set(ctx, "order:"+id, "placed", 0).Err()
}

func (r *redisCache) takesWrites(ctx context.Context) error {
	role, err := r.client.Do(ctx, "ROLE").Slice()
	if err != nil {
		return err
	}
	if len(role) == 0 || role[0] != "master" {
		return fmt.Errorf("a replica")
	}
	return nil
}
